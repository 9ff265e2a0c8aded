/// An instant after which nobody waits any longer.
struct Deadline {
    let instant: ContinuousClock.Instant

    init(in duration: Duration) {
        instant = ContinuousClock.now.advanced(by: duration)
    }

    var remaining: Duration { max(.zero, ContinuousClock.now.duration(to: instant)) }
    var hasPassed: Bool { ContinuousClock.now >= instant }

    /// What is left in ms, rounded up, for `poll`; 0 once it has passed.
    var milliseconds: Int32 {
        let (seconds, attoseconds) = remaining.components
        if seconds == 0 && attoseconds == 0 { return 0 }
        return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
    }

    /// An even share of what is left, for the first of `count` tries: a silent one must leave time to others.
    func share(of count: Int) -> Deadline {
        Deadline(in: remaining / max(count, 1))
    }
}
