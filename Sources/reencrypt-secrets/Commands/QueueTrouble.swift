import Logging
import Redis
import Synchronization

/// Logs that Redis cannot be used, at a bounded rate.
final class QueueTrouble: Sendable {
    private let logger: Logger
    private let last = Mutex<ContinuousClock.Instant?>(nil)

    init(_ logger: Logger) {
        self.logger = logger
    }

    func log(_ error: RedisError) {
        let isDue = last.withLock { last in
            if let last, ContinuousClock.now - last < .seconds(5) { return false }
            last = .now
            return true
        }
        if isDue { logger.warning("Waiting for Redis", metadata: ["reason": "\(error)"]) }
    }
}
