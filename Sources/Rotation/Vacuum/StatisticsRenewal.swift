import Catalog
import Logging
import Postgres
import Verification

/// ANALYZE at a job's end, where the planner's statistics still hold old envelopes: nothing else removes them, and a
/// verdict would object. What goes wrong with it never changes how the job ends.
struct StatisticsRenewal: Sendable {
    private let tables: [EncryptedTable]
    private let targetKeyID: String
    private let settings: ConnectionSettings
    private let logger: Logger

    init(_ plan: JobPlan, settings: ConnectionSettings, logger: Logger) {
        tables = plan.tables
        targetKeyID = plan.targetKeyID
        self.logger = logger
        var settings = settings.named("reencrypt-secrets analyze")
        settings.answerTimeout = .seconds(700)
        self.settings = settings
    }

    /// It samples rows, so it takes seconds even for a large table; it waits for no lock.
    private static let bounds = """
        SELECT pg_catalog.set_config('statement_timeout', '600s', false),
            pg_catalog.set_config('lock_timeout', '2s', false),
            pg_catalog.set_config('vacuum_cost_delay', '0', false)
        """

    func run() async {
        let connection = PostgresConnection(settings)
        do {
            var failures: [String: String] = [:]
            // That of a partitioned table does its partitions as well: what is left then is asked again.
            for partitionedOnly in [true, false] {
                for statistics in try await found(connection)
                where (!partitionedOnly || statistics.isPartitioned) && failures[statistics.statement] == nil
                {
                    failures[statistics.statement] = try await renew(statistics, connection)
                }
            }
            for statistics in try await found(connection) {
                report(statistics, failures[statistics.statement])
            }
        } catch {
            logger.warning(
                "The planner's statistics were not looked at; they may hold old values: run ANALYZE of the catalog's tables",
                metadata: [LogKey.reason: "\(error)"])
        }
        await connection.close()
    }

    private func found(_ connection: PostgresConnection) async throws -> [PlannerStatistics] {
        let (tables, target) = (tables, targetKeyID)
        return try await connection.perform { session in
            try PlannerStatistics.withOtherKeys(than: target, of: tables, session)
        }
    }

    /// - Returns: why it failed; nil where it did not. Without the privilege the server gives a warning alone.
    private func renew(
        _ statistics: PlannerStatistics, _ connection: PostgresConnection
    ) async throws -> String? {
        do {
            try await connection.perform { session in
                try session.query(Self.bounds)
                // Before PostgreSQL 17 expressions of an index are evaluated under the session's path.
                try session.underRolePath { try session.query(statistics.statement) }
            }
            logger.info("Renewed the planner's statistics of \(statistics.relation)")
            return nil
        } catch let error as PostgresError where !error.breaksConnection {
            return "\(error)"
        }
    }

    private func report(_ statistics: PlannerStatistics, _ failure: String?) {
        let keyIDs = statistics.keyIDs.sorted().joined(separator: ", ")
        let why =
            failure
            ?? "this role may not: it takes the table's owner, or from PostgreSQL 17 on GRANT MAINTAIN"
        logger.warning(
            "The planner's statistics of \(statistics.relation) still hold values under \(keyIDs): run \(statistics.statement) (\(why))"
        )
    }
}
