import Synchronization

/// A process's `Health`, told by its parts and asked from outside, by the clock that goes on while a machine sleeps.
package final class HealthMonitor: Sendable {
    private let health = Mutex(Health())

    package init() {}

    package func expect(_ part: Health.Part, within limit: Duration?) {
        health.withLock { $0.expect(part, within: limit, at: .now) }
    }

    package func forget(_ part: Health.Part) {
        health.withLock { $0.forget(part) }
    }

    /// - Parameter instant: when that was, where it is not now.
    package func succeeded(_ part: Health.Part, at instant: ContinuousClock.Instant = .now) {
        health.withLock { $0.succeeded(part, at: instant) }
    }

    package func failed(_ part: Health.Part, _ reason: String) {
        health.withLock { $0.failed(part, reason, at: .now) }
    }

    package func began(_ sequence: UInt64) {
        health.withLock { $0.began(sequence, at: .now) }
    }

    package func ended(_ sequence: UInt64) {
        health.withLock { $0.ended(sequence) }
    }

    package func stop() {
        health.withLock { $0.stop() }
    }

    package var readiness: Health.Verdict { health.withLock { $0.readiness(at: .now) } }
    package var liveness: Health.Verdict { health.withLock { $0.liveness(at: .now) } }
}
