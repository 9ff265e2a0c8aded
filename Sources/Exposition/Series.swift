import CoreMetrics
import Synchronization

/// The value of one series, which handlers of any thread change.
enum Series: Sendable {
    case counter(CounterValue)
    case gauge(GaugeValue)
    case histogram(HistogramValue)

    init(_ kind: MetricDescription.Kind) {
        switch kind {
        case .counter: self = .counter(CounterValue())
        case .gauge: self = .gauge(GaugeValue())
        case .histogram(let bounds): self = .histogram(HistogramValue(bounds))
        }
    }
}

/// Begins at 0: a series that appears with its first event would hide it from `increase`.
final class CounterValue: CounterHandler {
    private let count = Atomic<Int64>(0)

    var value: Int64 { count.load(ordering: .relaxed) }

    /// A counter does not fall.
    func increment(by amount: Int64) {
        if amount > 0 { count.wrappingAdd(amount, ordering: .relaxed) }
    }

    func reset() {
        count.store(0, ordering: .relaxed)
    }
}

/// Unknown until it is recorded, and again once NaN is.
final class GaugeValue: RecorderHandler {
    private let bits = Atomic<UInt64>(Double.nan.bitPattern)

    /// Nil where it is unknown.
    var value: Double? {
        let value = Double(bitPattern: bits.load(ordering: .relaxed))
        return value.isNaN ? nil : value
    }

    func record(_ value: Int64) {
        record(Double(value))
    }

    func record(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }
}

/// How many values fell where, and their sum. A duration is kept in seconds.
final class HistogramValue: RecorderHandler, TimerHandler {
    struct Distribution: Sendable {
        /// One a bucket, not summed up; the last one is for what is above every bound.
        var counts: [Int]
        var sum = 0.0
    }

    let bounds: [Double]
    private let distribution: Mutex<Distribution>

    init(_ bounds: [Double]) {
        self.bounds = bounds
        distribution = Mutex(Distribution(counts: [Int](repeating: 0, count: bounds.count + 1)))
    }

    var value: Distribution { distribution.withLock { $0 } }

    func record(_ value: Int64) {
        record(Double(value))
    }

    func record(_ value: Double) {
        if value.isNaN { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        distribution.withLock { distribution in
            distribution.counts[bucket] += 1
            distribution.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) {
        record(Double(duration) / 1e9)
    }
}
