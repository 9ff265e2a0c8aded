import Postgres

/// Transactions that all see the database at one instant.
enum SharedSnapshot {
    private static let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    /// A policy raises an error instead of hiding rows; nothing ends a transaction that waits for its lanes; a lock that
    /// somebody else holds is waited for a moment alone, since others wait for those that are held meanwhile.
    private static let settings = """
        SELECT set_config('row_security', 'off', true), set_config('statement_timeout', '0', true), \
        set_config('idle_in_transaction_session_timeout', '0', true), set_config('lock_timeout', least(100, greatest(10, floor(extract(epoch FROM \
        current_setting('deadlock_timeout')::interval) * 250)))::text, true), \
        set_config('plan_cache_mode', 'force_generic_plan', true), \
        set_config('max_parallel_workers_per_gather', '0', true)
        """

    /// Begins the transaction that the others follow, and which must outlive their beginning.
    /// - Returns: the snapshot's name.
    static func export(_ session: PostgresSession) throws -> String {
        try session.query(begin)
        try settle(session)
        guard let name = try session.query("SELECT pg_export_snapshot()").string(0, 0) else {
            throw PostgresError(.unexpectedAnswer, "the server exported no snapshot")
        }
        return name
    }

    /// Begins a transaction that sees the same.
    static func follow(_ name: String, _ session: PostgresSession) throws {
        try session.query(begin)
        // The name is the server's own: hexadecimal digits and hyphens. It is no place for a parameter.
        guard name.allSatisfy({ $0 == "-" || ($0.isASCII && $0.isHexDigit) }) else {
            throw PostgresError(.unexpectedAnswer, "the server's snapshot has an unexpected name")
        }
        try session.query("SET TRANSACTION SNAPSHOT '\(name)'")
        try settle(session)
    }

    /// From PostgreSQL 17 on a transaction may have a time limit of its own.
    private static func settle(_ session: PostgresSession) throws {
        try session.query(settings)
        if session.serverVersion >= 170_000 {
            try session.query("SELECT set_config('transaction_timeout', '0', true)")
        }
    }

    static func end(_ session: PostgresSession) throws {
        try session.query("COMMIT")
    }
}
