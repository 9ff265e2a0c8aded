package import Postgres

/// Runs a table's DDL under a lock that is asked for briefly and again and again: as long as it is waited for,
/// every writer waits behind it.
package struct FenceLock: Sendable {
    /// How long one attempt may make writers wait.
    private let timeout: Duration
    private let attempts: Int
    /// Backs off between attempts, from 0 to 1 of the pause.
    private let jitter: @Sendable () -> Double

    package init(
        timeout: Duration, attempts: Int, jitter: @escaping @Sendable () -> Double = { .random(in: 0...1) }
    ) {
        self.timeout = timeout
        self.attempts = max(1, attempts)
        self.jitter = jitter
    }

    /// The statements of one attempt, as `run` and `--print-sql` have them.
    package func transaction(_ statements: [String], ofSeveralRelations: Bool) -> [String] {
        [
            "BEGIN",
            "SELECT pg_catalog.set_config('lock_timeout', \(milliseconds(ofSeveralRelations)), true)",
            // Locks of many partitions are each waited for with the others held: this bounds their sum.
            "SELECT pg_catalog.set_config('statement_timeout', \(milliseconds(ofSeveralRelations)), true)",
        ] + statements + ["COMMIT"]
    }

    /// Where several relations are locked one after the other, an application may wait for one of them while
    /// we wait for it. Below its `deadlock_timeout` it never looks for that deadlock, so it never gets the error.
    private func milliseconds(_ ofSeveralRelations: Bool) -> String {
        let limit = "\(max(1, Int(timeout / .milliseconds(1))))"
        guard ofSeveralRelations else { return "'\(limit)'" }
        return """
            (SELECT least(\(limit), greatest(10, setting::int * 3 / 4)) FROM pg_catalog.pg_settings \
            WHERE name = 'deadlock_timeout')::text
            """
    }

    /// - Parameters:
    ///   - watcher: another session, which sees who stands in the way while the first one waits.
    ///   - waiting: told after each attempt that came to nothing.
    /// - Throws: the last attempt's error, `lockNotAvailable`, once all are spent.
    package func run(
        _ statements: [String], ofSeveralRelations: Bool, _ connection: PostgresConnection,
        watcher: PostgresConnection, waiting: (_ attempt: Int, _ blockers: [String]) -> Void
    ) async throws {
        let all = transaction(statements, ofSeveralRelations: ofSeveralRelations)
        var attempt = 1
        while true {
            // Asked anew: the connection may have been made again.
            let pid = try await connection.perform { $0.backendPID }
            async let blockers = blockers(of: pid, watcher)
            do {
                try await connection.perform { session in
                    try session.transaction(all[0]) { session in
                        for statement in all.dropFirst().dropLast() { try session.query(statement) }
                    }
                }
                return
            } catch let error as PostgresError
                where error.sqlState == .lockNotAvailable || error.sqlState == .queryCanceled
            {
                try Task.checkCancellation()
                let names = try await blockers
                waiting(attempt, names)
                if attempt == attempts {
                    throw PostgresError(
                        .server,
                        "the lock was not to be had in \(attempts) attempts; "
                            + (names.isEmpty
                                ? "who held it is not known"
                                : "in the way: \(names.joined(separator: ", "))"),
                        sqlState: .lockNotAvailable)
                }
            }
            let pause = min(0.5 * Double(1 << min(attempt, 6)), 5)
            try await Task.sleep(for: .seconds(pause * (0.5 + 0.5 * jitter())))
            attempt += 1
        }
    }

    /// Whoever the session waits for, looked up in the midst of the wait. Where the lock came at once, the
    /// task is cancelled, and with it the statement.
    private func blockers(of pid: Int, _ watcher: PostgresConnection) async throws -> [String] {
        try await Task.sleep(for: timeout / 4)
        return try await watcher.perform { session in
            let result = try session.query(
                """
                SELECT CASE WHEN b.pid = 0 THEN 'a prepared transaction (pg_prepared_xacts)'
                    ELSE pg_catalog.format(
                        'pid %s (application_name ''%s'', user ''%s'', transaction open for %s s)',
                        b.pid, a.application_name, a.usename, coalesce(
                            extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::bigint::text, '?'))
                    END
                FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(\(pid))) AS b (pid)
                LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid ORDER BY a.xact_start
                """)
            return (0..<result.rowCount).compactMap { result.string($0, 0) }
        }
    }
}
