/// A counter that only grows, such as a WAL position, as it was seen over the last minutes.
struct CounterHistory: Sendable {
    struct Sample: Sendable {
        let time: ContinuousClock.Instant
        let value: Double
    }

    private(set) var samples: [Sample] = []
    private static let kept = 4_000

    /// A value below the last one (a counter that was reset) begins anew.
    mutating func append(_ value: Double, at time: ContinuousClock.Instant) {
        if let last = samples.last, value < last.value || time <= last.time { samples.removeAll() }
        samples.append(Sample(time: time, value: value))
        if samples.count > Self.kept { samples.removeFirst(samples.count - Self.kept / 2) }
    }

    /// Growth a second over the window before the newest sample; nil before two samples.
    func rate(over window: Duration) -> Double? {
        guard let newest = samples.last else { return nil }
        let start = newest.time.advanced(by: .zero - window)
        guard let oldest = samples.last(where: { $0.time <= start }) ?? samples.first,
            oldest.time < newest.time
        else { return nil }
        return (newest.value - oldest.value) / ((newest.time - oldest.time) / .seconds(1))
    }

    /// When the counter passed `value`; the first sample's time where that was earlier.
    func time(of value: Double) -> ContinuousClock.Instant? {
        guard let first = samples.first, let last = samples.last else { return nil }
        if value <= first.value { return first.time }
        if value >= last.value { return last.time }
        var (low, high) = (0, samples.count - 1)
        while high - low > 1 {
            let middle = (low + high) / 2
            if samples[middle].value <= value { low = middle } else { high = middle }
        }
        let (before, after) = (samples[low], samples[high])
        let share = after.value > before.value ? (value - before.value) / (after.value - before.value) : 1
        return before.time.advanced(by: (after.time - before.time) * share)
    }
}
