/// What a job may do to the server and its application, as the operator has set it. Nil is no limit.
package struct PaceLimits: Sendable {
    /// Over all workers together.
    package var recordsPerSecond: Double?
    package var laneShare: LaneShare?
    package var lag: Lag?
    /// SQL that yields true while nothing may be handed out.
    package var throttleQuery: String?
    /// Slows down while statements of applications wait for locks of ours.
    package var yieldsToLockWaits = true
    package var guards = GuardLimits()

    package init() {}

    package struct LaneShare: Sendable, Hashable {
        /// Lanes at work on average, all workers' together: at 0.5 the server works on our ranges half of the time, at
        /// 3 three lanes' worth.
        package var lanes: Double
        /// What is said while it holds the job back; empty: nothing.
        package var reason: String

        package init(_ lanes: Double, reason: String) {
            self.lanes = lanes
            self.reason = reason
        }
    }

    package struct Lag: Sendable, Hashable {
        /// How far the replay of a standby may be behind.
        package var limit: Duration
        /// Application names of the standbys that count; empty: all that are connected.
        package var standbys: [String]
        /// Asked for by the operator. A profile's own limit leaves out a standby that is behind from the start:
        /// it may be so on purpose, and would hold the job for ever.
        package var isExplicit: Bool

        package init(limit: Duration, standbys: [String] = [], isExplicit: Bool = true) {
            self.limit = limit
            self.standbys = standbys
            self.isExplicit = isExplicit
        }
    }
}

/// Conditions of the server under which the job would hurt it. While one holds nothing is handed out; one that
/// lasts longer than `grace` ends the job.
package struct GuardLimits: Sendable {
    /// Bytes of WAL that a replication slot may retain.
    package var slotWAL: Int?
    /// How long archiving may fail.
    package var archiveFailing: Duration?
    /// Bytes that must be free where the server keeps its data.
    package var freeDisk: Int?
    /// How long a transaction, prepared transaction or slot may hold VACUUM's horizon back.
    package var horizonAge: Duration?
    package var grace: Duration = .seconds(600)

    package init() {}
}
