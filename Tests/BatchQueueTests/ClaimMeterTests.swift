import BatchQueue
import Testing

/// The pace of claims, on a clock of the test's own.
@Suite struct ClaimMeterTests {
    private let start = ContinuousClock.now

    /// Records claimed within `seconds` by somebody who asks every 7 ms for batches of `records`.
    private func claimed(_ meter: inout ClaimMeter, seconds: Int, records: Int) -> Int {
        var sum = 0
        for step in 0..<(seconds * 1_000 / 7) {
            let now = start.advanced(by: .milliseconds(step * 7))
            guard meter.allowsClaim(now: now) else { continue }
            meter.charge(records: records, now: now)
            sum += records
        }
        return sum
    }

    @Test(arguments: [(1_000.0, 10), (1_000, 100), (50, 10), (20_000, 100)])
    func keepsTheRate(rate: Double, records: Int) {
        var meter = ClaimMeter()
        meter.set(ClaimPace(recordsPerSecond: rate, reason: ""), now: start)
        let sum = Double(claimed(&meter, seconds: 20, records: records))
        // The first batch and what may be caught up come on top; a batch every 7 ms is the most that is asked for.
        let expected = min(20 * rate, 20 / 0.007 * Double(records))
        #expect(sum <= 20 * rate + 0.1 * rate + Double(records))
        #expect(sum >= 0.97 * expected)
    }

    @Test func withoutALimitEverythingIsDue() {
        var meter = ClaimMeter()
        for _ in 0..<100 {
            #expect(meter.allowsClaim(now: start))
            meter.charge(records: 1_000, now: start)
        }
        #expect(meter.nextDue(after: start) == nil)
    }

    @Test func aHoldEndsWithAnotherPace() {
        var meter = ClaimMeter()
        meter.set(ClaimPace(recordsPerSecond: 0, reason: "r"), now: start)
        #expect(!meter.allowsClaim(now: start.advanced(by: .seconds(1_000))))
        meter.set(.free, now: start)
        #expect(meter.allowsClaim(now: start))
    }

    @Test func whatRemainsOfAWaitFollowsTheNewRate() {
        var meter = ClaimMeter()
        meter.set(ClaimPace(recordsPerSecond: 1, reason: ""), now: start)
        meter.charge(records: 100, now: start)
        meter.set(ClaimPace(recordsPerSecond: 1_000, reason: ""), now: start)
        #expect(!meter.allowsClaim(now: start.advanced(by: .milliseconds(50))))
        #expect(meter.allowsClaim(now: start.advanced(by: .milliseconds(101))))
    }
}
