/// Chooses the rate at which the slowest standby stays about half the limit behind.
///
/// Lag in seconds comes too late to steer by: what was written in the first second of a job takes five to
/// replay on a standby that is five times slower. So it steers by the backlog, which is known at once: the rate
/// that the standby bears is what it replays a second, in records, corrected by how far the backlog is from
/// half the limit. A standby that keeps up says nothing about what it bears; the rate then grows step by step.
package struct LagGovernor: Sendable {
    private let options: PaceLimits.Lag
    private let limit: Double
    /// Before anything is known of the standbys: a wide limit bears a fast start.
    private let firstRate: Double
    private var written = CounterHistory()
    private var replayed: [Int: CounterHistory] = [:]
    private var ignored: Set<Int> = []
    /// Bytes a second that the slowest standby replays while it is behind.
    private var capacity: Double?
    private var recordsPerByte: Double?
    private var rate: Double?

    /// Of the limit: where the backlog should stand, and below what a standby counts as keeping up.
    private static let target = 0.5
    private static let keepsUp = 0.2
    /// Share of the limit beyond which nothing is handed out; up to it a trickle keeps reports coming.
    private static let hold = 3.0
    private static let trickle = 20.0
    /// Growth a second while every standby keeps up.
    private static let growth = 1.0
    private static let window: Duration = .seconds(1)
    /// Backlogs of fewer bytes are the way of things.
    private static let noise = 262_144.0

    package init(_ options: PaceLimits.Lag) {
        self.options = options
        limit = max(options.limit / .seconds(1), 0.01)
        firstRate = max(100, 1_000 * limit * limit)
    }

    package struct Verdict: Sendable, Hashable {
        /// Records a second; nil: no limit.
        package var rate: Double?
        package var reason = ""
        /// The largest lag that counts, in seconds.
        package var lag = 0.0
        /// Standbys that were behind from the start and are left out from now on.
        package var newlyIgnored: [String] = []

        package init(rate: Double? = nil, reason: String = "") {
            self.rate = rate
            self.reason = reason
        }
    }

    /// - Parameters:
    ///   - position: of the primary's WAL, in bytes.
    ///   - recordsPerSecond: how fast the job went over the last second.
    package mutating func decide(
        _ standbys: [StandbyReading], position: Double, recordsPerSecond: Double,
        now: ContinuousClock.Instant
    ) -> Verdict {
        var verdict = Verdict()
        let isFirst = written.samples.isEmpty
        written.append(position, at: now)
        let watched = standbys.filter {
            options.standbys.isEmpty || options.standbys.contains($0.name)
        }
        if let missing = options.standbys.first(where: { name in !watched.contains { $0.name == name } }) {
            return Verdict(rate: 0, reason: "standby \(missing) is not connected")
        }
        if isFirst && !options.isExplicit {
            for standby in watched where standby.reportedLag ?? 0 > limit {
                ignored.insert(standby.pid)
                verdict.newlyIgnored.append(standby.name)
            }
        }
        replayed = replayed.filter { pid, _ in watched.contains { $0.pid == pid } }
        var worst: (load: Double, lag: Double, standby: StandbyReading, replay: Double)?
        for standby in watched where !ignored.contains(standby.pid) {
            replayed[standby.pid, default: CounterHistory()].append(standby.replayed, at: now)
            let replay = replayed[standby.pid]?.rate(over: Self.window) ?? 0
            let (load, lag) = load(of: standby, replay: replay, position: position, now: now)
            if worst.map({ load > $0.load }) ?? true { worst = (load, lag, standby, replay) }
        }
        guard let worst else {
            rate = nil
            return verdict
        }
        verdict.lag = worst.lag
        steer(load: worst.load, replay: worst.replay, recordsPerSecond)
        verdict.rate = rate
        if worst.load >= Self.keepsUp {
            let lag = "lag \(Self.tenths(worst.lag)) s of standby \(worst.standby.name)"
            verdict.reason =
                worst.lag > limit
                ? "\(lag) above \(Self.tenths(limit)) s" : "\(lag), kept below \(Self.tenths(limit)) s"
        }
        return verdict
    }

    /// How far a standby is behind, in seconds and as a share of the limit: by when the primary passed the
    /// position it has replayed, or by what its backlog will take, whichever is more.
    private func load(
        of standby: StandbyReading, replay: Double, position: Double, now: ContinuousClock.Instant
    ) -> (load: Double, lag: Double) {
        let backlog = position - standby.replayed
        guard backlog > 0 else { return (0, 0) }
        var lag = written.time(of: standby.replayed).map { (now - $0) / .seconds(1) } ?? 0
        // Before the history reaches back far enough, the server's own word is the better one.
        if let first = written.samples.first, standby.replayed < first.value {
            lag = max(lag, standby.reportedLag ?? 0)
        }
        guard backlog > Self.noise else { return (lag > limit ? lag / limit : 0, lag) }
        let byBacklog = replay > 0 ? backlog / replay : lag
        return (max(lag, min(byBacklog, 10 * limit)) / limit, lag)
    }

    private mutating func steer(load: Double, replay: Double, _ recordsPerSecond: Double) {
        let step = 0.2
        if let bytes = written.rate(over: Self.window), bytes > 0, recordsPerSecond > 0 {
            recordsPerByte = Self.average(recordsPerByte, recordsPerSecond / bytes, step)
        }
        let current = rate ?? firstRate
        guard load >= Self.keepsUp else {
            let bearable = capacity.flatMap { capacity in recordsPerByte.map { capacity * $0 } } ?? 0
            let grown = max(current * (1 + Self.growth * step), bearable / 4)
            // No further than twice of what is made use of: growth must not run away unseen.
            rate = max(min(grown, max(2 * recordsPerSecond, current, bearable / 4)), 100)
            return
        }
        if replay > 0 { capacity = Self.average(capacity, replay, 0.3) }
        if load > Self.hold {
            rate = 0
            return
        }
        guard let capacity, let recordsPerByte else {
            rate = max(Self.trickle, current / 2)
            return
        }
        let correction = 1 + 0.5 * (Self.target - load) / Self.target
        let bearable = max(Self.trickle, capacity * recordsPerByte * max(0, correction))
        // Down at once, up with patience.
        rate = bearable < current ? bearable : min(bearable, current * (1 + Self.growth * step))
        if current == 0 { rate = Self.trickle }
    }

    private static func average(_ old: Double?, _ new: Double, _ weight: Double) -> Double {
        old.map { $0 + weight * (new - $0) } ?? new
    }

    static func tenths(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
