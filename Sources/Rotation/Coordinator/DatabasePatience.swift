import BatchQueue
import Logging
import Postgres

/// Tries again what the database could not do for a moment: a restart, a failover, a full connection limit.
struct DatabasePatience {
    let logger: Logger
    let errors: ConnectionErrors
    private static let limit: Duration = .seconds(600)

    /// - Parameter what: for the log.
    /// - Throws: `databaseAway` after ten minutes; at once what trying again does not mend.
    func retrying<R>(_ what: String, _ body: () async throws -> R) async throws -> R {
        let start = ContinuousClock.now
        var attempt = 0
        while true {
            do {
                return try await body()
            } catch let error as PostgresError where error.isRetriable {
                attempt += 1
                errors.note(error)
                logger.warning(
                    "\(what) waits for the database",
                    metadata: [LogKey.reason: "\(error)", LogKey.attempt: "\(attempt)"])
                if ContinuousClock.now - start > Self.limit {
                    throw RotationError(.databaseAway, "\(what) failed for 10 minutes: \(error)")
                }
                try await Task.sleep(for: Backoff.afterError(deliveries: attempt))
            }
        }
    }
}
