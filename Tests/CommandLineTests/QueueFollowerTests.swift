import BatchQueue
import Testing

@testable import reencrypt_secrets

/// What a coordinator makes of what Redis shows, look by look.
@Suite struct QueueFollowerTests {
    private let start = ContinuousClock.now
    private var follower = QueueFollower()

    private static let earlier = job("j0", "complete", at: 500)
    private static let running = job("j1", "draining", at: 1_000)

    /// The record stands for the target: "ours" or "theirs".
    private static func job(_ id: String, _ state: String, at startedAt: Int, _ record: String = "ours")
        -> QueueMonitor.StoredJob
    {
        QueueMonitor.StoredJob(
            id: id, record: record, recordCode: "", state: state, startedAt: startedAt, isPaused: false)
    }

    private mutating func look(_ job: QueueMonitor.StoredJob?, at seconds: Int) -> QueueFollower.Step {
        follower.look(job, at: start + .seconds(seconds)) { $0.record == "ours" }
    }

    @Test(arguments: [nil, earlier, running])
    mutating func whatIsThereAtFirstIsLed(_ job: QueueMonitor.StoredJob?) {
        #expect(look(job, at: 0) == .lead)
        #expect(look(job, at: 2) == .lead)
        #expect(!follower.hasLostData)
    }

    @Test(arguments: ["complete", "incomplete", "cancelled"])
    mutating func theJobThatWasWaitedForEnds(state: String) {
        let ended = Self.job("j1", state, at: 1_000)
        #expect(look(Self.running, at: 0) == .lead)
        #expect(look(ended, at: 2) == .ended(ended))
    }

    @Test mutating func aJobThatCameAndWentBetweenTwoLooks() {
        let ended = Self.job("j1", "complete", at: 1_000)
        #expect(look(Self.earlier, at: 0) == .lead)
        #expect(look(ended, at: 2) == .ended(ended))
    }

    @Test mutating func anotherJobHasFollowed() {
        #expect(look(Self.running, at: 0) == .lead)
        #expect(look(Self.job("j2", "draining", at: 2_000, "theirs"), at: 2) == .movedOn)
        #expect(look(Self.job("j2", "complete", at: 2_000, "theirs"), at: 2) == .movedOn)
        #expect(look(Self.job("j2", "draining", at: 2_000), at: 2) == .lead)
    }

    @Test(arguments: [nil, earlier, job("j0", "complete", at: 500, "theirs")])
    mutating func aRedisThatHasLostDataDoesNotEndIt(_ shown: QueueMonitor.StoredJob?) {
        #expect(look(Self.running, at: 0) == .lead)
        #expect(look(shown, at: 20) == .lead)
        #expect(follower.hasLostData)
        #expect(!follower.isTooLate(start + .seconds(20)))
        #expect(look(Self.running, at: 22) == .lead)
        #expect(!follower.hasLostData)
    }

    @Test mutating func noLooksAtALossProlongWhatIsKnown() {
        #expect(look(Self.running, at: 0) == .lead)
        #expect(look(nil, at: 20) == .lead)
        #expect(look(nil, at: 40) == .lead)
        #expect(follower.isTooLate(start + .seconds(46)))
    }

    @Test mutating func anEmptyQueueAfterALongAbsence() {
        #expect(look(nil, at: 0) == .lead)
        #expect(look(nil, at: 45) == .lead)
        #expect(!follower.hasLostData)
        #expect(look(nil, at: 100) == .lead)
        #expect(follower.hasLostData)
        #expect(follower.isTooLate(start + .seconds(100)))
    }

    @Test mutating func theQueueIsEmptiedBeforeTheFirstJobIsSeen() {
        #expect(look(Self.earlier, at: 0) == .lead)
        #expect(look(nil, at: 2) == .lead)
        #expect(follower.hasLostData)
    }

    @Test mutating func anOwnLeadIsLostWithTheData() {
        #expect(look(nil, at: 0) == .lead)
        follower.began(Self.running)
        follower.led(until: start + .seconds(500))
        #expect(look(nil, at: 502) == .lead)
        #expect(follower.lost == Self.running, "it is not told again under its own number")
        #expect(!follower.isTooLate(start + .seconds(545)))
        #expect(follower.isTooLate(start + .seconds(546)))
    }

    @Test mutating func itsHeirAfterALossIsWaitedFor() {
        #expect(look(nil, at: 0) == .lead)
        follower.began(Self.job("j1", "", at: 0))
        follower.led(until: start + .seconds(1))
        #expect(look(Self.job("j2", "draining", at: 2_000), at: 2) == .lead)
        let ended = Self.job("j2", "complete", at: 2_000)
        #expect(look(ended, at: 4) == .ended(ended))
    }

    @Test mutating func aFreezeBetweenTheLookAndTheLocks() {
        #expect(look(Self.earlier, at: 0) == .lead)
        #expect(!follower.isTooLate(start + .seconds(45)))
        #expect(follower.isTooLate(start + .seconds(46)))
    }
}
