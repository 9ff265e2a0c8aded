package import BatchQueue

/// Decides how fast the job goes, from what was last seen of server, standbys and applications. The slowest
/// limit counts, and its reason is shown while it holds the job back.
package struct PaceController: Sendable {
    package enum Verdict: Sendable, Hashable {
        /// With the kind of limit that holds the job back; nil where none does.
        case go(ClaimPace, ThrottleCause?)
        /// The job has to end, for the server's sake.
        case stop(String)
    }

    private let limits: PaceLimits
    private var lagGovernor: LagGovernor?
    private var lockWaits = LockWaitGovernor()
    private var guardConditions: GuardConditions
    private var serverGuard: ServerGuard
    private var done = CounterHistory()
    private var lastCost: (done: Int, seconds: Double)?
    /// Of a lane's time, as a moving average.
    private var secondsPerRecord = firstSecondsPerRecord
    /// Of the ranges that are outstanding.
    private var recordsPerRange = 0.0
    private var lag = LagGovernor.Verdict()
    private var guardVerdict = ServerGuard.Verdict.clear
    private var queryHold: String?

    private static let window: Duration = .seconds(1)
    /// What a record is taken to cost before anything is known of it.
    private static let firstSecondsPerRecord = 100e-6
    /// Records a second. Where ranges hung, one after the other, there is something to learn from soon.
    private static let slowestShare = 20.0
    /// Seconds from one range to the next, at most, for the same reason.
    private static let longestStep = 2.0
    /// A range that hung, with a worker that was frozen, must not stand for all to come.
    private static let mostGrowth = 4.0

    package init(_ limits: PaceLimits) {
        self.limits = limits
        lagGovernor = limits.lag.map { LagGovernor($0) }
        guardConditions = GuardConditions(limits.guards)
        serverGuard = ServerGuard(grace: limits.guards.grace)
    }

    /// Records a second of those limits that ask for small steps; nil: none. A share is of a lane's time, which small
    /// ranges only waste.
    package var steps: Double? {
        [limits.recordsPerSecond, lockWaits.rate, lag.rate].compactMap { $0 }.min().flatMap {
            $0.isFinite ? $0 : nil
        }
    }

    /// How fast the job went over the last second.
    package var recordsPerSecond: Double { done.rate(over: Self.window) ?? 0 }

    // MARK: What is seen

    package mutating func observe(_ progress: JobProgress, now: ContinuousClock.Instant) {
        done.append(Double(progress.recordsDone), at: now)
        let cost = (done: progress.recordsDone, seconds: progress.cost.seconds)
        if let last = lastCost, cost.done > last.done, cost.seconds > last.seconds {
            let measured = (cost.seconds - last.seconds) / Double(cost.done - last.done)
            // Faster down than up: what was slow for a moment is soon forgotten.
            let weight = measured > secondsPerRecord ? 0.2 : 0.5
            secondsPerRecord +=
                weight * (min(measured, Self.mostGrowth * secondsPerRecord) - secondsPerRecord)
        }
        lastCost = cost
        if progress.batchesOutstanding > 0 {
            recordsPerRange =
                Double(max(0, progress.recordsTotal - progress.recordsDone))
                / Double(progress.batchesOutstanding)
        }
    }

    /// - Returns: standbys that are left out from now on, since they were behind from the start.
    package mutating func observe(
        _ standbys: [StandbyReading], position: Double, now: ContinuousClock.Instant
    ) -> [String] {
        guard var governor = lagGovernor else { return [] }
        lag = governor.decide(
            standbys, position: position, recordsPerSecond: recordsPerSecond, now: now)
        lagGovernor = governor
        return lag.newlyIgnored
    }

    /// - Parameter table: where an application waits for a lock of ours; nil where none does.
    package mutating func observe(lockWaitOn table: String?) {
        guard limits.yieldsToLockWaits else { return }
        lockWaits.observe(waitOn: table, recordsPerSecond: recordsPerSecond)
    }

    package mutating func observe(_ reading: GuardConditions.Reading, now: ContinuousClock.Instant) {
        guardVerdict = serverGuard.judge(guardConditions.breaches(reading, now: now), now: now)
    }

    /// - Parameter reason: why the operator's query holds the job; nil where it does not.
    package mutating func observe(queryHold reason: String?) {
        queryHold = reason
    }

    // MARK: What follows

    package func decide() -> Verdict {
        switch guardVerdict {
        case .stop(let reason): return .stop(reason)
        case .hold(let breach):
            return .go(ClaimPace(recordsPerSecond: 0, reason: breach.reason), breach.cause)
        case .clear: break
        }
        if let queryHold { return .go(ClaimPace(recordsPerSecond: 0, reason: queryHold), .throttleQuery) }
        var rate = Double.infinity
        var reason = ""
        var cause: ThrottleCause?
        func limit(to limit: Double?, _ limiting: ThrottleCause, _ why: String) {
            guard let limit, limit < rate else { return }
            (rate, reason, cause) = (limit, why, limiting)
        }
        limit(
            to: limits.recordsPerSecond, .maxRecordsPerSecond,
            named("max-records-per-second", limits.recordsPerSecond))
        let share = limits.laneShare.map { share in
            max(
                Self.slowestShare, recordsPerRange / Self.longestStep,
                share.lanes / max(secondsPerRecord, 1e-7))
        }
        limit(to: share, .laneShare, named(limits.laneShare?.reason ?? "", share))
        limit(to: lockWaits.rate, .lockWaits, lockWaits.reason)
        limit(to: lag.rate, .standbyLag, lag.reason)
        let pace = ClaimPace(recordsPerSecond: rate.isFinite ? rate : nil, reason: reason)
        return .go(pace, reason.isEmpty ? nil : cause)
    }

    /// A limit that stands all the time is named while the job comes near it.
    private func named(_ reason: String, _ limit: Double?) -> String {
        limit.map { recordsPerSecond >= 0.7 * $0 } ?? false ? reason : ""
    }
}
