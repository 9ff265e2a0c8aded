import Postgres

/// Sees to it that nobody waits long for the locks of a reading. A statement that needs a table for itself waits for us,
/// and the application's statements on that table wait behind it.
struct LockQueueWatch: Sendable {
    private let relations: [UInt32]
    private let sessions: HeldSessions
    /// Of its own: a statement that is cancelled with the watch is nobody else's.
    private let connection: PostgresConnection

    /// A statement that is seen waiting in two looks is let through.
    private static let interval: Duration = .milliseconds(150)

    init(_ held: HeldSnapshot, _ settings: ConnectionSettings) {
        relations = held.relations
        sessions = held.sessions
        connection = PostgresConnection(settings)
    }

    /// Runs `body`, and cancels it where it has to give way.
    /// - Returns: nil where it had to.
    func guarding<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) async throws -> R? {
        let ended = try await withThrowingTaskGroup(of: End<R>.self) { group in
            group.addTask { try await hasSomebodyWaited() ? .waited : .stopped }
            group.addTask { .done(try await body()) }
            while let end = try await group.next() {
                switch end {
                case .done(let value):
                    group.cancelAll()
                    return value as R?
                case .waited:
                    group.cancelAll()
                    // A statement that is cancelled ends soon, but an answer may be stuck on its way.
                    let ending = Task {
                        try await Task.sleep(for: Self.interval)
                        let relations = relations
                        let sessions = sessions
                        try await connection.perform { try sessions.end(holding: relations, $0) }
                    }
                    // What was cancelled ends with an error of its own, or with a result that nobody needs.
                    while await group.nextResult() != nil {}
                    ending.cancel()
                    return nil
                case .stopped: continue
                }
            }
            throw CancellationError()
        }
        await connection.close()
        return ended
    }

    private enum End<R: Sendable> {
        case done(R)
        case waited
        /// The task was cancelled; the body ends in its own way.
        case stopped
    }

    /// Returns once somebody waits; false where the task is cancelled before.
    private func hasSomebodyWaited() async throws -> Bool {
        var looks = 0
        do {
            while looks < 2 {
                try await Task.sleep(for: Self.interval)
                let isWaiting = try await connection.perform { try self.isSomebodyWaiting($0) }
                looks = isWaiting ? looks + 1 : 0
            }
            return true
        } catch is CancellationError {
            return false
        }
    }

    private func isSomebodyWaiting(_ session: PostgresSession) throws -> Bool {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        return try session.query(
            """
            SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'relation' AND NOT granted \
            AND mode = 'AccessExclusiveLock' AND relation = ANY($1) \
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
            """, parameters
        ).flag(0, 0)
    }

    /// Who holds a lock, or waits for one, that keeps readers away, for people.
    static func holders(of relations: [UInt32], _ session: PostgresSession) throws -> String {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        let result = try session.query(
            """
            SELECT DISTINCT l.relation::regclass::text, CASE WHEN l.pid IS NULL THEN 'a prepared transaction' \
            ELSE 'process ' || l.pid || coalesce(', ' || nullif(a.application_name, ''), '') END \
            FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid \
            WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation = ANY($1) \
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
            ORDER BY 1, 2 LIMIT 3
            """, parameters)
        let names = try (0..<result.rowCount).map { row throws(PostgresError) in
            "\(try result.text(row, 0)) by \(try result.text(row, 1))"
        }
        return names.isEmpty ? "the lock was given back meanwhile" : names.joined(separator: "; ")
    }
}
