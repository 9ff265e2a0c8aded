import Catalog
import Postgres
import Synchronization
import Verification

/// The search outside the catalog as `verify` runs it: the verdict takes its sentences, the report its findings. With
/// it, what the census cannot see of the catalog's own tables: where values come from, and what the planner has kept.
final class CoverageSearch: Sendable {
    private let settings: ConnectionSettings
    private let file: CatalogFile
    private let targetKeyID: String
    private let retired: [String]
    private let found = Mutex<Coverage?>(nil)

    /// - Parameters:
    ///   - file: the whole catalog, whatever `--table` selects: its other tables are in a catalog, too.
    ///   - retired: ids of former keys that the settings name; those that fences name are ours as well.
    init(_ settings: ConnectionSettings, _ file: CatalogFile, targetKeyID: String, retired: [String]) {
        self.retired = retired
        self.settings = settings
        self.targetKeyID = targetKeyID
        self.file = file
    }

    /// On a session of its own: the verifier's is in a transaction, which the first relation that cannot be
    /// read would end.
    func problems() throws -> [String] {
        let session = try PostgresSession(connecting: settings)
        let tables = try Introspection.resolve(file.entries, session: session).tables
        var problems: [String] = []
        for table in tables {
            problems += try SubscriptionTargets.problems(table, severity: .refuse, session: session).map {
                "The table \(table.name): \($0.message). What to do: \($0.mend)."
            }
        }
        problems += try statistics(session)
        problems += try PlannerStatistics.unreadable(of: tables, session)
        let coverage = try scan(tables, session)
        found.withLock { $0 = coverage }
        let ours = try FenceProof.refusedKeyIDs(in: tables, session).union(retired)
        return problems + coverage.problems
            + coverage.ignored.compactMap { $0.objection(target: targetKeyID, retired: ours) }
    }

    private func scan(_ tables: [EncryptedTable], _ session: PostgresSession) throws -> Coverage {
        let yield = SampleYield(process: session.backendPID, settings)
        let yielding = Task { try await yield.run() }
        defer { yielding.cancel() }
        return try CoverageScan(tables, ignored: file.ignored).run(session)
    }

    /// A look that takes too long is an objection, not the end of the verification.
    private func statistics(_ session: PostgresSession) throws -> [String] {
        do throws(PostgresError) {
            try session.query("SELECT pg_catalog.set_config('statement_timeout', '60s', false)")
            return try PlannerStatistics.withOtherKeys(
                than: targetKeyID, of: nil, ignoring: file.ignored, session
            ).map(\.objection)
        } catch {
            if error.breaksConnection { throw error }
            return ["The planner's statistics (pg_stats) could not be looked at: \(error.message)."]
        }
    }

    /// Nil until the search has run.
    var coverage: Coverage? { found.withLock { $0 } }
}
