import Redis

/// Repeats a script until Redis has answered it: a restart, a failover, a moment without memory. Every script
/// of the queue may be run again after an answer that got lost.
enum RedisPatience {
    /// - Parameter onWait: is told the first error and each later one.
    /// - Throws: at once what waiting does not mend; `CancellationError` where the task is cancelled.
    static func retrying<R: Sendable>(
        _ onWait: @Sendable (RedisError) -> Void, _ body: () async throws -> R
    ) async throws -> R {
        var attempt = 0
        while true {
            do {
                return try await body()
            } catch let error as RedisError where error.isRetriable {
                attempt += 1
                onWait(error)
                try await Task.sleep(for: Backoff.afterError(deliveries: attempt))
            }
        }
    }
}
