package import Postgres

/// Lets the application through while the search outside the catalog reads: a sample of a large table may take seconds,
/// and a statement that needs the table for itself waits for it, with everything behind. The sample's statement is
/// cancelled then, and the search says that it could not look.
package struct SampleYield: Sendable {
    private let connection: PostgresConnection
    private let process: Int

    private static let interval: Duration = .milliseconds(150)

    /// - Parameter process: the server process of the search's session.
    package init(process: Int, _ settings: ConnectionSettings) {
        self.process = process
        connection = PostgresConnection(settings)
    }

    /// Looks until the task is cancelled.
    /// - Throws: what keeps it from looking.
    package func run() async throws {
        let process = process
        while !Task.isCancelled {
            try await Task.sleep(for: Self.interval)
            try await connection.perform { session in
                var pid = QueryParameters()
                pid.append(int8: Int64(process))
                _ = try session.query(
                    """
                    SELECT pg_cancel_backend($1::int) WHERE EXISTS (SELECT FROM pg_locks AS waiting \
                    JOIN pg_locks AS ours ON ours.locktype = 'relation' AND ours.relation = waiting.relation \
                    AND ours.database = waiting.database AND ours.granted AND ours.pid = $1 \
                    WHERE waiting.locktype = 'relation' AND NOT waiting.granted \
                    AND waiting.mode = 'AccessExclusiveLock')
                    """, pid)
            }
        }
    }
}
