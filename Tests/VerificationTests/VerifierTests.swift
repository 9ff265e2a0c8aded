import Catalog
import Envelope
import Foundation
import Postgres
import Synchronization
import Testing

@testable import Verification

private let url = ProcessInfo.processInfo.environment["REENCRYPT_TEST_DATABASE_URL"]

@Suite(
    "A verification of a real database",
    .enabled(if: url != nil, "PostgreSQL is missing: REENCRYPT_TEST_DATABASE_URL names no server"))
struct VerifierTests {
    private let settings: ConnectionSettings
    private let key: KeyEncryptionKey
    private let table = "verifier_" + String((0..<12).map { _ in "abcdefghij".randomElement() ?? "a" })

    init() throws {
        settings = try ConnectionSettings(url: url, applicationName: "reencrypt-secrets VerificationTests")
        key = try KeyEncryptionKey.generate(id: KeyID("kek-v2"))
    }

    private func plan() throws -> VerificationPlan {
        let entry = CatalogEntry(
            name: table, tableName: try TableName(parsing: table), idColumns: nil,
            encryptedColumns: ["secret"])
        return VerificationPlan(
            settings: settings, targetKey: key, retiredKeyIDs: ["kek-v1"],
            scope: VerificationScope(tables: [table]),
            resolveTables: { try Introspection.resolve([entry], session: $0).tables })
    }

    /// Runs with a table of `rows` good values, many a block.
    private func withTable(
        rows: Int = 50, _ body: (PostgresConnection) async throws -> Void
    ) async throws {
        let connection = PostgresConnection(settings)
        let ring = try Keyring(primary: key)
        let values = try (0..<rows).map {
            String(decoding: try ring.seal("secret \($0)".utf8), as: UTF8.self)
        }
        let table = table
        try await connection.perform { session in
            try session.query("SET search_path = public")
            try session.query("CREATE TABLE \(table) (id bigint PRIMARY KEY, secret text)")
            var parameters = QueryParameters()
            parameters.append(texts: values)
            try session.query(
                "INSERT INTO \(table) SELECT n, v FROM unnest($1) WITH ORDINALITY AS u(v, n)", parameters)
        }
        let result: Result<Void, any Error>
        do { result = .success(try await body(connection)) } catch { result = .failure(error) }
        try await connection.perform { session in _ = try session.query("DROP TABLE \(table)") }
        await connection.close()
        try result.get()
    }

    private func verify(_ change: (inout VerificationPlan) -> Void = { _ in }) async throws
        -> VerificationOutcome
    {
        var plan = try plan()
        change(&plan)
        return try await Verifier(plan, observer: Silence()).run()
    }

    @Test(arguments: Depth.allCases) func good(depth: Depth) async throws {
        try await withTable { _ in
            let outcome = try await verify {
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
        try await withTable { _ in
            let tables = Mutex<[String]>([])
            let outcome = try await verify {
                $0.fencedKeyIDs = { found, session in
                    tables.withLock { $0 = found.map(\.name) }
                    let level = try session.query("SHOW transaction_isolation").string(0, 0)
                    return level == "repeatable read" ? ["kek-v1"] : []
                }
            }
            #expect(tables.withLock { $0 } == [table])
            #expect(outcome.isFenced)
            #expect(!outcome.verdict.sentence.contains("at this time"))
        }
    }

    @Test func coverageBearsOnTheVerdict() async throws {
        try await withTable { _ in
            let outcome = try await verify { $0.coverage = { _ in ["audit.value looks encrypted."] } }
            #expect(outcome.verdict.objections == ["audit.value looks encrypted."])
        }
    }

    @Test func everyFailureOfManyIsCountedAndNamed() async throws {
        try await withTable(rows: 3_000) { connection in
            try await connection.perform { session in
                _ = try session.query("UPDATE \(table) SET secret = 'plain ' || id WHERE id % 2 = 0")
            }
            let outcome = try await verify { $0.concurrency = 3 }
            #expect(outcome.failures.total == 1_500)
            #expect(outcome.oldRecords == 1_500)
            #expect(outcome.unopenedRecords == 0)
            let ids = Set(outcome.failures.listed.compactMap { $0.id.first })
            #expect(ids == Set((1...1_500).map { "\($0 * 2)" }))
        }
    }

    @Test func aSampleDrawsItsShare() async throws {
        try await withTable(rows: 5_000) { _ in
            let outcome = try await verify { $0.samplePercent = 50 }
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
