/// How fast ranges may be handed out, as the coordinator decides it: one limit over all workers. Whoever has a
/// range in hand finishes it.
package struct ClaimPace: Sendable, Hashable {
    /// Nil: as fast as they are asked for; 0: none for the moment.
    package var recordsPerSecond: Double?
    /// What holds the job back, for people; empty where nothing does.
    package var reason: String

    package static let free = ClaimPace(recordsPerSecond: nil, reason: "")

    package init(recordsPerSecond: Double?, reason: String) {
        self.recordsPerSecond = recordsPerSecond
        self.reason = reason
    }
}

/// Keeps claims to a pace: each one is due when the records of those before it have had their time.
///
/// A claim that comes late may catch up a little, so that the pace is kept although nobody asks at the very
/// instant; what was not asked for longer than that is not made up for.
package struct ClaimMeter: Sendable {
    package private(set) var pace = ClaimPace.free
    private var due: ContinuousClock.Instant?
    private static let catchUp: Duration = .milliseconds(100)

    package init() {}

    /// What remains of a wait is as long as it would be under the new pace.
    package mutating func set(_ new: ClaimPace, now: ContinuousClock.Instant) {
        if let due, let old = pace.recordsPerSecond, let rate = new.recordsPerSecond, old > 0, rate > 0 {
            if due > now { self.due = now.advanced(by: (due - now) * (old / rate)) }
        } else {
            due = nil
        }
        pace = new
    }

    package func allowsClaim(now: ContinuousClock.Instant) -> Bool {
        guard let rate = pace.recordsPerSecond else { return true }
        return rate > 0 && due.map { $0 <= now } ?? true
    }

    /// When the next claim is due; nil where that is now, or not known.
    package func nextDue(after now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        due.flatMap { $0 > now ? $0 : nil }
    }

    package mutating func charge(records: Int, now: ContinuousClock.Instant) {
        guard let rate = pace.recordsPerSecond, rate > 0 else { return }
        let start = max(due ?? now, now.advanced(by: .zero - Self.catchUp))
        due = start.advanced(by: .seconds(Double(records) / rate))
    }
}
