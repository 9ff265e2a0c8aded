/// How much the job takes and how much it leaves to the application, in one word. Explicit options go before it.
package enum Profile: String, Sendable, CaseIterable {
    /// The application comes first, however long the job takes.
    case polite
    /// Fast, with batches short enough that no statement waits long for one of our locks.
    case balanced
    /// Nobody else needs the server.
    case maintenance

    /// Of `run`; workers have an option of their own.
    package var lanes: Int {
        switch self {
        case .polite: 1
        case .balanced: 2
        case .maintenance: 4
        }
    }

    /// What a batch should last: rows stay locked for about as long.
    package var batchSeconds: Double {
        switch self {
        case .polite: 0.025
        case .balanced: 0.1
        case .maintenance: 0.25
        }
    }

    package var largestBatch: Int {
        switch self {
        case .polite: 200
        case .balanced, .maintenance: 1_000
        }
    }

    /// Of one lane's time, over all lanes together; nil: no limit.
    package var laneShare: Double? { self == .polite ? 0.5 : nil }

    /// How far standbys may fall behind.
    package var lag: Duration? {
        switch self {
        case .polite: .seconds(2)
        case .balanced: .seconds(10)
        case .maintenance: nil
        }
    }

    /// VACUUM's pause after every 200 units of its cost, in ms: 2 is autovacuum's.
    package var vacuumCostDelay: Int { self == .polite ? 2 : 0 }

    /// Limits with nothing but the profile's own.
    package var limits: PaceLimits {
        var limits = PaceLimits()
        limits.laneShare = laneShare
        limits.yieldsToLockWaits = self != .maintenance
        limits.lag = lag.map { PaceLimits.Lag(limit: $0, isExplicit: false) }
        limits.guards.archiveFailing = .seconds(300)
        limits.guards.slotWAL = 32 << 30
        return limits
    }
}
