package import BatchQueue

/// Rate and remaining time from a moving window over a job's counters.
package struct ProgressMeter: Sendable {
    package struct Reading: Sendable, Hashable {
        package let progress: JobProgress
        /// What 100 % is: the sweep's opening census until everything is enumerated, then what was handed out.
        package let total: Int
        package let done: Int
        /// Nil until two samples tell.
        package let recordsPerSecond: Double?
        package let remaining: Duration?

        package var fraction: Double { total == 0 ? 1 : min(1, Double(done) / Double(total)) }
    }

    private struct Sample {
        let time: ContinuousClock.Instant
        let done: Int
    }

    private var samples: [Sample] = []
    private var openingTotal = 0
    private static let window: Duration = .seconds(10)

    package init() {}

    /// - Parameter oldRecords: by the census that opens the sweep.
    /// - Parameter done: records done before it.
    package mutating func beginSweep(oldRecords: Int, done: Int) {
        openingTotal = done + oldRecords
        samples.removeAll()
    }

    package mutating func read(_ progress: JobProgress, at now: ContinuousClock.Instant) -> Reading {
        let newest = samples.last?.time
        samples.removeAll { now - $0.time > Self.window && $0.time != newest }
        samples.append(Sample(time: now, done: progress.recordsDone))
        let total = progress.enumerationDone ? progress.recordsTotal : max(openingTotal, progress.recordsDone)
        var rate: Double?
        var remaining: Duration?
        if let first = samples.first, samples.count > 1, now > first.time {
            let seconds = (now - first.time) / .seconds(1)
            let measured = Double(progress.recordsDone - first.done) / seconds
            rate = measured
            if measured > 0 {
                remaining = .seconds(Double(max(0, total - progress.recordsDone)) / measured)
            }
        }
        return Reading(
            progress: progress, total: total, done: progress.recordsDone, recordsPerSecond: rate,
            remaining: remaining)
    }
}
