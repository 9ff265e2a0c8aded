import Catalog
import Envelope
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import Verification

@Suite("A verification of a real database", .needs(.postgres)) struct VerifierTests {
    private let key: KeyEncryptionKey

    init() throws {
        key = try KeyEncryptionKey.generate(id: KeyID("kek-v2"))
    }

    /// Runs with a table of `rows` good values.
    private func withTable(rows: Int = 50, _ body: (SealedTable) async throws -> Void) async throws {
        try await SealedTable.with(rows: rows, under: key, body)
    }

    private func plan(_ table: SealedTable) -> VerificationPlan {
        VerificationPlan(
            settings: table.settings, targetKey: key, retiredKeyIDs: ["kek-v1"],
            scope: VerificationScope(tables: [table.name]),
            resolveTables: { try Introspection.resolve([table.entry], session: $0).tables })
    }

    private func verify(
        _ table: SealedTable, _ change: (inout VerificationPlan) -> Void = { _ in }
    ) async throws -> VerificationOutcome {
        var plan = plan(table)
        change(&plan)
        return try await Verifier(plan, observer: Silence()).run()
    }

    @Test(arguments: Depth.allCases) func goodValuesAreProvenUnlessLabelsAloneWereRead(depth: Depth)
        async throws
    {
        try await withTable { table in
            let outcome = try await verify(table) {
                $0.depth = depth
                $0.concurrency = 7
            }
            #expect(outcome.verdict.isProven == (depth != .labels), "\(outcome.verdict)")
            #expect(outcome.verdict.findings.isEmpty)
            #expect(outcome.totalRecords == 50)
            #expect(outcome.failures.total == 0)
            #expect(outcome.database.timeline == 1)
            #expect(outcome.duplicates.coveredFraction == (depth == .values ? 1 : 0))
        }
    }

    @Test func aFenceIsAskedForInTheSnapshot() async throws {
        try await withTable { table in
            let tables = Mutex<[String]>([])
            let outcome = try await verify(table) {
                $0.fencedKeyIDs = { found, session in
                    tables.withLock { $0 = found.map(\.name) }
                    let level = try session.query("SHOW transaction_isolation").string(0, 0)
                    return level == "repeatable read" ? ["kek-v1"] : []
                }
            }
            #expect(tables.withLock { $0 } == [table.name])
            #expect(outcome.isFenced)
            #expect(!outcome.verdict.sentence.contains("at this time"))
        }
    }

    @Test func whatTheCoverageFindsSpeaksAgainstTheVerdict() async throws {
        try await withTable { table in
            let outcome = try await verify(table) { $0.coverage = { _ in ["audit.value looks encrypted."] } }
            #expect(outcome.verdict.objections == ["audit.value looks encrypted."])
        }
    }

    @Test func everyFailureOfManyIsCountedAndNamed() async throws {
        try await withTable(rows: 3_000) { table in
            try await table.connection.perform { session in
                _ = try session.query("UPDATE \(table.name) SET secret = 'plain ' || id WHERE id % 2 = 0")
            }
            let outcome = try await verify(table) { $0.concurrency = 3 }
            #expect(outcome.failures.total == 1_500)
            #expect(outcome.oldRecords == 1_500)
            #expect(outcome.unopenedRecords == 0)
            let ids = Set(outcome.failures.listed.compactMap { $0.id.first })
            #expect(ids == Set((1...1_500).map { "\($0 * 2)" }))
        }
    }

    @Test func aSampleTakesItsShareOfTheRecords() async throws {
        try await withTable(rows: 5_000) { table in
            let outcome = try await verify(table) { $0.samplePercent = 50 }
            let sample = try #require(outcome.sample)
            // Nine standard deviations.
            #expect((2_180...2_820).contains(sample.records))
            #expect(outcome.totalRecords == 5_000)
        }
    }
}

private struct Silence: VerificationObserver {
    func progressed(_ progress: VerificationProgress) {}
    func began(_ step: String) {}
    func sighted(_ sighting: VerificationOutcome.Sighting) {}
}
