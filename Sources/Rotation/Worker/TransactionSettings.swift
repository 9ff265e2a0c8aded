import Catalog
import Postgres

/// The statements around a worker's rows, the same for all tables.
///
/// Settings are made with every transaction rather than once a session: whatever stands between us and the
/// server, a transaction runs under its own settings or not at all.
struct TransactionSettings {
    static let begin = PreparedStatement(
        name: "begin", sql: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    /// Names nothing that could be looked up: a trigger of the application may have changed the session's path.
    static let path = PreparedStatement(
        name: "path", sql: "SET LOCAL search_path = \(PostgresSession.safePath)")
    static let commit = PreparedStatement(name: "commit", sql: "COMMIT")

    /// `lock_timeout` stays well below `deadlock_timeout`: otherwise the application, which has done nothing
    /// wrong, might be the one that is told of a deadlock.
    private static let assignments = [
        ("row_security", "off"),
        ("synchronous_commit", "on"),
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("plan_cache_mode", "force_generic_plan"),
        // A generic plan over a large table looks costly enough to be compiled, each time it runs.
        ("jit", "off"),
    ]

    /// First statement of the transaction: settings, the table's gate, and which server process this is.
    /// Gives gate (boolean), pid.
    static func open(gate: AdvisoryLock, oid: UInt32) -> PreparedStatement {
        let settings = assignments.map { "set_config('\($0.0)', '\($0.1)', true)" }
        // Not from pg_settings: that view shows every setting to itself first, which cost a tenth of the server's time.
        let lockTimeout = """
            set_config('lock_timeout', least(250, greatest(10, floor(extract(epoch FROM \
            current_setting('deadlock_timeout')::interval) * 250)))::text, true)
            """
        return PreparedStatement(
            name: "open_\(oid)",
            sql: """
                SELECT pg_try_advisory_xact_lock_shared(\(gate.arguments)), pg_backend_pid(), \
                \((settings + [lockTimeout]).joined(separator: ", "))
                """)
    }

    /// Whether the job's lock was free, which means that nobody leads the job. While it is led this takes no
    /// lock, so workers do not disturb one another.
    static func jobIsOver(_ lock: AdvisoryLock) -> PreparedStatement {
        PreparedStatement(name: "job", sql: "SELECT pg_try_advisory_xact_lock_shared(\(lock.arguments))")
    }
}
