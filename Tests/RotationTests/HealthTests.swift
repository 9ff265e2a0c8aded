import Testing

@testable import Rotation

/// Ready by what the work did, live by what it tries.
@Suite struct HealthTests {
    private let start = ContinuousClock.now

    private func isReady(_ health: Health, after seconds: Int) -> Bool {
        health.readiness(at: start + .seconds(seconds)) == .healthy
    }

    private func isLive(_ health: Health, after seconds: Int) -> Bool {
        health.liveness(at: start + .seconds(seconds)) == .healthy
    }

    @Test func aProcessThatStartsIsLiveAndNotReady() {
        let health = Health()
        #expect(health.readiness(at: start) == .unhealthy("starting"))
        #expect(health.liveness(at: start) == .healthy)
    }

    @Test func readyForAsLongAsTheQueueAnswers() {
        var health = Health()
        health.expect(.queue, within: .seconds(15), at: start)
        #expect(isReady(health, after: 15))
        #expect(!isReady(health, after: 16))
        health.succeeded(.queue, at: start + .seconds(20))
        #expect(isReady(health, after: 35))
    }

    @Test func aSingleFailureIsNoOutageAndItsReasonIsSaid() {
        var health = Health()
        health.expect(.queue, within: .seconds(15), at: start)
        health.failed(.queue, "connection refused", at: start + .seconds(5))
        #expect(isReady(health, after: 6))
        #expect(
            health.readiness(at: start + .seconds(16))
                == .unhealthy("queue: no success for 16 s; connection refused"))
    }

    @Test func aProcessThatTriesInVainIsLiveAndOneThatDoesNotTryIsNot() {
        var health = Health()
        health.expect(.queue, within: .seconds(15), at: start)
        health.failed(.queue, "connection refused", at: start + .seconds(100))
        #expect(!isReady(health, after: 200))
        #expect(isLive(health, after: 220))
        #expect(!isLive(health, after: 221))
    }

    @Test func aDatabaseThatFailsIsSaidAtOnceAndForgottenWithTheNextSuccess() {
        var health = Health()
        health.expect(.database, within: nil, at: start)
        #expect(isReady(health, after: 10_000), "an idle worker does not use the database")
        health.failed(.database, "ranges are handed back", at: start + .seconds(1))
        #expect(health.readiness(at: start) == .unhealthy("database: failing; ranges are handed back"))
        #expect(isLive(health, after: 10_000))
        health.succeeded(.database, at: start + .seconds(2))
        #expect(isReady(health, after: 3))
        health.failed(.database, "again", at: start + .seconds(4))
        health.expect(.database, within: nil, at: start + .seconds(5))
        #expect(isReady(health, after: 6), "a new job begins with a clean slate")
    }

    @Test func aRangeThatHangsIsNotReadyAndLaterNotLive() {
        var health = Health()
        health.expect(.queue, within: nil, at: start)
        health.began(7, at: start)
        health.began(8, at: start + .seconds(25))
        #expect(isReady(health, after: 30))
        #expect(!isReady(health, after: 31))
        #expect(isLive(health, after: 300))
        #expect(!isLive(health, after: 301))
        health.ended(7)
        #expect(isReady(health, after: 55))
        health.ended(8)
        #expect(isReady(health, after: 10_000))
    }

    @Test func whatIsForgottenDoesNotCount() {
        var health = Health()
        health.expect(.queue, within: .seconds(15), at: start)
        health.expect(.lead, within: .seconds(25), at: start)
        health.succeeded(.queue, at: start + .seconds(30))
        #expect(!isReady(health, after: 30))
        health.forget(.lead)
        #expect(isReady(health, after: 30))
        // A late report of a part that is no longer in use.
        health.failed(.lead, "lost", at: start + .seconds(31))
        #expect(isReady(health, after: 31))
    }

    @Test func aProcessThatStopsIsNotReady() {
        var health = Health()
        health.expect(.queue, within: .seconds(15), at: start)
        health.stop()
        #expect(health.readiness(at: start) == .unhealthy("stopping"))
        #expect(isLive(health, after: 1))
    }
}
