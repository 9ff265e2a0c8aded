import Logging
import Redis
import Rotation
import Synchronization

/// Notes that Redis cannot be used: in the process's health and metrics, and, at a bounded rate, in the log.
final class QueueTrouble: Sendable {
    private let logger: Logger
    private let health: HealthMonitor
    private let errors: ConnectionErrors
    private let last = Mutex<ContinuousClock.Instant?>(nil)

    init(_ logger: Logger, _ health: HealthMonitor, _ errors: ConnectionErrors) {
        self.errors = errors
        self.health = health
        self.logger = logger
    }

    func log(_ error: RedisError) {
        health.failed(.queue, "\(error)")
        errors.note(error)
        let isDue = last.withLock { last in
            if let last, ContinuousClock.now - last < .seconds(5) { return false }
            last = .now
            return true
        }
        if isDue { logger.warning("Waiting for Redis", metadata: ["reason": "\(error)"]) }
    }
}
