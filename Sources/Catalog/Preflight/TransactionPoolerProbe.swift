package import Postgres

/// Detects a pooler that gives each transaction another server session. Session locks (leadership), SET and
/// prepared statements mean nothing behind one.
///
/// Two sessions stay open. Were each one its own backend, their pids would differ and stay: one pid seen by
/// both, or a pid that changes, proves a pooler, and while one session holds a transaction open the pooler
/// has to give the other one another backend. No proof is no guarantee where others use the same pool at the
/// same moment, so several transactions are compared.
///
/// A pool in session mode is fine where it is large enough. One that is too small answers some sessions of a command
/// and never the others, so that the command would wait in its middle for what it holds itself.
package enum TransactionPoolerProbe {
    /// - Parameters:
    ///   - settings: a connection that answers no query (a pool that is full, in session mode) is reported
    ///     after 20 seconds at most.
    ///   - sessions: how many the command needs at once; counted behind a pooler alone.
    package static func run(
        connecting settings: ConnectionSettings, sessions: Int = 2
    ) throws(PostgresError) -> CatalogProblem? {
        var settings = settings
        settings.answerTimeout = min(settings.answerTimeout, .seconds(20))
        let impatient = settings
        return try run(sessions: sessions) { () throws(PostgresError) in
            try PostgresSession(connecting: impatient)
        }
    }

    /// - Parameter open: makes a new session at every call.
    package static func run(
        sessions: Int = 2, _ open: () throws(PostgresError) -> PostgresSession
    ) throws(PostgresError) -> CatalogProblem? {
        let first = try open()
        let home = try backend(of: first)
        let second: PostgresSession
        do throws(PostgresError) {
            second = try open()
            try second.query("SELECT 1")
        } catch  where error.code == .timedOut {
            return CatalogProblem(
                .refuse, table: nil, "a second session gets no answer while a first one is open",
                mend: Self.largerPool)
        }
        for _ in 0..<3 {
            do throws(PostgresError) {
                try second.query("BEGIN")
            } catch  where error.sqlState?.code == "08P01" {
                return pooler("it takes no BEGIN (statement pooling)")
            }
            // `first` is asked only where that has shown nothing: in a pool of one it would wait for ever.
            let other = try backend(of: second)
            if other == home { return pooler("two open sessions had the one backend \(home)") }
            let now = try backend(of: first)
            if now == other { return pooler("two open sessions had the one backend \(now)") }
            if now != home { return pooler("a session's backend changed from \(home) to \(now)") }
            try second.query("ROLLBACK")
        }
        // The server tells a client its own number; a pooler tells another one.
        if first.backendPID == home { return nil }
        return try roomProblem(open, beside: [first, second], sessions)
    }

    private static let largerPool =
        "give the pool more server connections than --concurrency and 9, or connect to PostgreSQL itself"

    /// Holds as many sessions as the command will, and lets go of them.
    private static func roomProblem(
        _ open: () throws(PostgresError) -> PostgresSession, beside sessions: [PostgresSession], _ needed: Int
    ) throws(PostgresError) -> CatalogProblem? {
        var held = sessions
        while held.count < needed {
            do throws(PostgresError) {
                held.append(try open())
            } catch  where error.code == .timedOut {
                return CatalogProblem(
                    .refuse, table: nil,
                    "the pool gives \(held.count) sessions at once, and this command needs \(needed)",
                    mend: Self.largerPool)
            }
        }
        return nil
    }

    private static func backend(of session: PostgresSession) throws(PostgresError) -> Int {
        try session.query("SELECT pg_catalog.pg_backend_pid()").number(0, 0)
    }

    private static func pooler(_ evidence: String) -> CatalogProblem {
        CatalogProblem(
            .refuse, table: nil,
            "a transaction pooler stands between this tool and PostgreSQL: \(evidence)",
            mend: "point DATABASE_URL at PostgreSQL itself, or at a pool in session mode "
                + "(PgBouncer: pool_mode = session)")
    }
}
