/// How much the job takes and how much it leaves to the application, in one word. Explicit options go before it.
package enum Profile: String, Sendable, CaseIterable {
    /// The application comes first, however long the job takes.
    case polite
    /// The application's statements wait for a core, the disk or a lock of ours, but not for long.
    case balanced
    /// As fast as the server can: nobody else needs it, or the key is in the wrong hands.
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
        case .polite: 50
        case .balanced: 200
        case .maintenance: 1_000
        }
    }

    /// Nil: no limit. The default's is its usual pace, nothing that a person has to be told of.
    package var laneShare: PaceLimits.LaneShare? {
        switch self {
        case .polite: PaceLimits.LaneShare(0.15, reason: "profile polite")
        case .balanced: PaceLimits.LaneShare(0.4, reason: "")
        case .maintenance: nil
        }
    }

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
