import BatchQueue
import Catalog
import Logging
import Postgres
import Synchronization

/// Vacuums leaves while they are rewritten, on a connection of its own, one at a time: so dead rows are used
/// again and a table does not grow to twice its size.
///
/// `TRUNCATE false` needs no ACCESS EXCLUSIVE lock; `SKIP_LOCKED` leaves a table alone that somebody else vacuums
/// or alters; one process (`PARALLEL 0`), since more would take cores from the application and our lanes.
/// Indexes are cleaned where the server finds it worth while, as ever.
final class LeafVacuum: Sendable {
    struct Options: Sendable {
        /// Of a leaf's rows, rewritten between two VACUUMs.
        var percent: Double
        /// ms of rest after 200 units of VACUUM's cost.
        var costDelay: Int
    }

    static let applicationName = "reencrypt-secrets vacuum"

    private let options: Options
    private let plan: JobPlan
    private let queue: any CoordinatorQueue
    private let connection: PostgresConnection
    private let logger: Logger
    private let current = Mutex<Task<Void, any Error>?>(nil)

    init(
        _ options: Options, _ plan: JobPlan, queue: any CoordinatorQueue, settings: ConnectionSettings,
        logger: Logger
    ) {
        self.options = options
        self.plan = plan
        self.queue = queue
        self.logger = logger
        var settings = settings.named(Self.applicationName)
        settings.answerTimeout = .seconds(24 * 3_600)
        connection = PostgresConnection(settings)
    }

    /// Ends the VACUUM that is running, if any: somebody waits for its table.
    func yieldToOthers() {
        current.withLock { $0?.cancel() }
    }

    /// Vacuums until cancelled. What goes wrong with it never ends the job.
    func run() async {
        do {
            let leaves = Dictionary(
                plan.tables.flatMap(\.leaves).map { ($0.oid, $0) }, uniquingKeysWith: { first, _ in first })
            let rows = try await allowed(leaves)
            guard !rows.isEmpty else { return }
            var schedule = VacuumSchedule(percent: options.percent, rows: rows)
            while true {
                // Many leaves are many counters to read.
                try await Task.sleep(for: .milliseconds(leaves.count > 100 ? 2_000 : 100))
                guard let oid = schedule.next(try await queue.rowsByLeaf()), let leaf = leaves[oid] else {
                    continue
                }
                try await vacuum(leaf)
            }
        } catch is CancellationError {
            return
        } catch {
            logger.warning("VACUUM is left to autovacuum from here", metadata: [LogKey.reason: "\(error)"])
        }
    }

    func close() async {
        await connection.close()
    }

    private func vacuum(_ leaf: Leaf) async throws {
        let (connection, delay) = (connection, options.costDelay)
        let task = Task {
            try await connection.perform { session in
                try session.query(
                    "SELECT set_config('statement_timeout', '0', false), set_config('vacuum_cost_delay', '\(delay)', false)"
                )
                try session.query(
                    "VACUUM (TRUNCATE false, SKIP_LOCKED true, PARALLEL 0) \(leaf.sqlName)")
            }
        }
        current.withLock { $0 = task }
        defer { current.withLock { $0 = nil } }
        let start = ContinuousClock.now
        do {
            try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
            logger.debug(
                "Vacuumed",
                metadata: [
                    LogKey.table: "\(leaf.sqlName)",
                    LogKey.seconds: "\((ContinuousClock.now - start) / .seconds(1))",
                ])
        } catch is CancellationError where !Task.isCancelled {
            logger.info(
                "VACUUM gave way to a statement that waited", metadata: [LogKey.table: "\(leaf.sqlName)"])
        } catch let error as PostgresError where error.isRetriable {
            logger.debug("VACUUM failed", metadata: [LogKey.reason: "\(error)"])
        }
    }

    /// Rows of the leaves that this role may vacuum: it would be told so by a warning alone.
    private func allowed(_ leaves: [UInt32: Leaf]) async throws -> [UInt32: Double] {
        let list = leaves.keys.map { "\($0)" }.joined(separator: ", ")
        let found = try await connection.perform { session -> (rows: [UInt32: Double], refused: [UInt32]) in
            // Without statistics a row counts for 400 bytes.
            let result = try session.query(
                """
                SELECT c.oid, (CASE WHEN c.reltuples > 0 THEN c.reltuples::float8 \
                ELSE pg_relation_size(c.oid) / 400.0 END)::bigint, \
                pg_has_role(current_user, c.relowner, 'USAGE') OR EXISTS (SELECT FROM pg_database d \
                WHERE d.datname = current_database() AND pg_has_role(current_user, d.datdba, 'USAGE')) OR \
                CASE WHEN current_setting('server_version_num')::int >= 170000 \
                THEN has_table_privilege(c.oid, 'MAINTAIN') ELSE false END \
                FROM pg_class c WHERE c.oid IN (\(list))
                """)
            var rows: [UInt32: Double] = [:]
            var refused: [UInt32] = []
            for row in 0..<result.rowCount {
                guard let oid = result.oid(row, 0) else { continue }
                if try result.flag(row, 2) {
                    rows[oid] = Double(try result.number(row, 1))
                } else {
                    refused.append(oid)
                }
            }
            return (rows, refused)
        }
        if let first = found.refused.first, let name = leaves[first]?.sqlName {
            let more = found.refused.count > 1 ? " and \(found.refused.count - 1) more" : ""
            logger.notice(
                "VACUUM of \(name)\(more) is left to autovacuum: this role may not. It takes the table's owner, or from PostgreSQL 17 on GRANT MAINTAIN"
            )
        }
        return found.rows
    }
}
