import Postgres
import Synchronization

/// The server processes that hold the locks of a reading.
final class HeldSessions: Sendable {
    private let processes = Mutex<Set<Int>>([])

    func add(_ session: PostgresSession) {
        _ = processes.withLock { $0.insert(session.backendPID) }
    }

    /// Ends those that still hold one of the locks, even if their clients do not answer.
    func end(holding relations: [UInt32], _ session: PostgresSession) throws {
        var parameters = QueryParameters()
        parameters.append(texts: processes.withLock { $0.map(String.init) })
        parameters.append(oids: relations)
        try session.query(
            """
            SELECT pg_terminate_backend(l.pid) FROM (SELECT DISTINCT pid FROM pg_locks \
            WHERE locktype = 'relation' AND granted AND mode = 'AccessShareLock' AND relation = ANY($2) \
            AND pid::text = ANY($1)) AS l
            """, parameters)
    }
}
