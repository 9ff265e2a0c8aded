/// Decides after each census whether the job is complete, needs another sweep, or cannot get further.
package struct SweepPolicy: Sendable {
    package enum Verdict: Sendable, Hashable {
        case complete
        case anotherSweep
        /// Another sweep would not help; the reason says what remains.
        case incomplete(String)
    }

    private var lowest: Int
    private var sweepsWithoutFall = 0

    /// The last sweep left as many as there were.
    var hasStalled: Bool { sweepsWithoutFall > 0 }

    /// - Parameter oldRecords: old records by the census before the first sweep.
    package init(oldRecords: Int) {
        lowest = oldRecords
    }

    /// - Parameters:
    ///   - remaining: old records by a census taken after the queue was empty.
    ///   - failed: records of this sweep that cannot be rewrapped.
    package mutating func judge(remaining: Int, failed: Int) -> Verdict {
        if remaining == 0 { return .complete }
        if remaining <= failed {
            return .incomplete("\(remaining) records cannot be rewrapped; each is listed with its reason")
        }
        if remaining < lowest {
            lowest = remaining
            sweepsWithoutFall = 0
            return .anotherSweep
        }
        sweepsWithoutFall += 1
        guard sweepsWithoutFall >= 2 else { return .anotherSweep }
        return .incomplete(
            "\(remaining) old records remain and their number has not fallen in two sweeps: an application still "
                + "writes under an old key, or a trigger undoes the updates. Deploy the new key as primary everywhere, "
                + "then run again")
    }
}
