import Rotation
import Testing

@Suite struct SweepPolicyTests {
    @Test func nothingLeftIsComplete() {
        var policy = SweepPolicy(oldRecords: 100)
        #expect(policy.judge(remaining: 0, failed: 0) == .complete)
    }

    @Test func onlyFailedRecordsLeftEndsTheJob() {
        var policy = SweepPolicy(oldRecords: 100)
        guard case .incomplete(let reason) = policy.judge(remaining: 3, failed: 3) else {
            Issue.record("another sweep would change nothing")
            return
        }
        #expect(reason.contains("3 records cannot be rewrapped"))
    }

    @Test func whatFellGoesOn() {
        var policy = SweepPolicy(oldRecords: 100)
        #expect(policy.judge(remaining: 50, failed: 0) == .anotherSweep)
        #expect(policy.judge(remaining: 20, failed: 5) == .anotherSweep)
        #expect(policy.judge(remaining: 0, failed: 0) == .complete)
    }

    @Test func twoSweepsWithoutAFallEndTheJob() {
        var policy = SweepPolicy(oldRecords: 100)
        #expect(policy.judge(remaining: 40, failed: 0) == .anotherSweep)
        #expect(policy.judge(remaining: 45, failed: 0) == .anotherSweep)
        guard case .incomplete(let reason) = policy.judge(remaining: 40, failed: 0) else {
            Issue.record("the lowest value was 40 already")
            return
        }
        #expect(reason.contains("under an old key"))
    }

    @Test func aFallBetweenStartsTheCountAgain() {
        var policy = SweepPolicy(oldRecords: 100)
        #expect(policy.judge(remaining: 100, failed: 0) == .anotherSweep)
        #expect(policy.judge(remaining: 99, failed: 0) == .anotherSweep)
        #expect(policy.judge(remaining: 99, failed: 0) == .anotherSweep)
        guard case .incomplete = policy.judge(remaining: 99, failed: 0) else {
            Issue.record("two sweeps in a row did not fall below 99")
            return
        }
    }
}
