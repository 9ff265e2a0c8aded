import BatchQueue
import Rotation
import Testing

/// Which limit counts, and what is said of it; on a clock of the test's own.
@Suite struct PaceControllerTests {
    private let start = ContinuousClock.now

    private func progress(_ done: Int, seconds: Double = 0) -> JobProgress {
        var progress = JobProgress()
        progress.recordsRewrapped = done
        progress.cost.seconds = seconds
        return progress
    }

    private func pace(_ controller: PaceController) -> ClaimPace? {
        guard case .go(let pace, _) = controller.decide() else { return nil }
        return pace
    }

    private func cause(_ controller: PaceController) -> ThrottleCause? {
        guard case .go(_, let cause) = controller.decide() else { return nil }
        return cause
    }

    @Test func withoutLimitsNothingHoldsTheJob() {
        #expect(pace(PaceController(PaceLimits())) == .free)
        #expect(cause(PaceController(PaceLimits())) == nil)
    }

    @Test func aConstantLimitIsNamedOnceTheJobComesNearIt() {
        var limits = PaceLimits()
        limits.recordsPerSecond = 1_000
        var controller = PaceController(limits)
        #expect(pace(controller) == ClaimPace(recordsPerSecond: 1_000, reason: ""))
        #expect(cause(controller) == nil)
        controller.observe(progress(0), now: start)
        controller.observe(progress(900), now: start.advanced(by: .seconds(1)))
        #expect(pace(controller) == ClaimPace(recordsPerSecond: 1_000, reason: "max-records-per-second"))
        #expect(cause(controller) == .maxRecordsPerSecond)
        controller.observe(progress(1_000), now: start.advanced(by: .seconds(2)))
        #expect(pace(controller)?.reason == "")
    }

    @Test func aShareOfALanesTimeFollowsWhatARecordCosts() {
        var limits = PaceLimits()
        limits.laneShare = PaceLimits.LaneShare(0.5, reason: "lane-share")
        var controller = PaceController(limits)
        #expect(abs((pace(controller)?.recordsPerSecond ?? 0) - 5_000) < 1)
        controller.observe(progress(0), now: start)
        // 100 µs a record.
        controller.observe(progress(1_000, seconds: 0.1), now: start.advanced(by: .seconds(1)))
        #expect(abs((pace(controller)?.recordsPerSecond ?? 0) - 5_000) < 1)
        // The server becomes slower, and so do we.
        for second in 2...60 {
            controller.observe(
                progress(1_000 * second, seconds: 0.1 * Double(second * 10 - 9)),
                now: start.advanced(by: .seconds(second)))
        }
        #expect(abs((pace(controller)?.recordsPerSecond ?? 0) - 500) < 5)
    }

    @Test func oneRangeThatHungDoesNotSetThePace() {
        var limits = PaceLimits()
        limits.laneShare = PaceLimits.LaneShare(1, reason: "")
        var controller = PaceController(limits)
        var seconds = 0.0
        // 100 µs a record, and a worker in between that was frozen for a minute.
        for reading in 0...20 {
            seconds += reading == 10 ? 60 : 0.01
            controller.observe(
                progress(100 * reading, seconds: seconds),
                now: start.advanced(by: .milliseconds(200 * reading)))
            if reading == 10 { #expect((pace(controller)?.recordsPerSecond ?? 0) > 6_000) }
        }
        #expect((pace(controller)?.recordsPerSecond ?? 0) > 9_000)
    }

    /// A coordinator that takes over may see the end of a range first that hung while nobody led.
    @Test func aFirstRangeThatHungDoesNotSetThePace() {
        var limits = PaceLimits()
        limits.laneShare = PaceLimits.LaneShare(1, reason: "")
        var controller = PaceController(limits)
        controller.observe(progress(0), now: start)
        controller.observe(progress(20, seconds: 60), now: start.advanced(by: .seconds(1)))
        #expect((pace(controller)?.recordsPerSecond ?? 0) > 6_000)
        controller.observe(progress(120, seconds: 60.01), now: start.advanced(by: .seconds(2)))
        #expect((pace(controller)?.recordsPerSecond ?? 0) > 7_500)
    }

    /// 32 lanes that hung end at 32 moments: without a floor the next range would be minutes away.
    @Test func manyRangesThatHungOneAfterTheOtherDoNotSetThePace() {
        var limits = PaceLimits()
        limits.laneShare = PaceLimits.LaneShare(0.15, reason: "")
        var controller = PaceController(limits)
        for reading in 0...60 {
            controller.observe(
                progress(10 * reading, seconds: 60 * Double(reading)),
                now: start.advanced(by: .milliseconds(200 * reading)))
        }
        #expect(pace(controller)?.recordsPerSecond == 20)
        // What a share waits for is not made shorter by smaller ranges.
        #expect(controller.steps == nil)
    }

    /// Rows that were locked for long at the end of a sweep, and then all of the table again, in large ranges.
    @Test func aLargeRangeAfterRangesThatHungDoesNotKeepOthersWaiting() {
        var limits = PaceLimits()
        limits.laneShare = PaceLimits.LaneShare(0.4, reason: "")
        var controller = PaceController(limits)
        for reading in 0...20 {
            controller.observe(
                progress(reading, seconds: Double(reading) * 10),
                now: start.advanced(by: .seconds(reading)))
        }
        var redrawn = progress(20, seconds: 200)
        redrawn.recordsTotal = 15_020
        redrawn.batchesPending = 100
        controller.observe(redrawn, now: start.advanced(by: .seconds(21)))
        #expect(
            pace(controller)?.recordsPerSecond == 75,
            "150 records keep the next range waiting for longer than 2 s")
    }

    @Test func theUsualPaceOfTheDefaultIsNoThrottle() {
        func reason(_ profile: Profile) -> String? {
            var controller = PaceController(profile.limits)
            controller.observe(progress(0), now: start)
            controller.observe(progress(10_000, seconds: 0.1), now: start.advanced(by: .seconds(1)))
            controller.observe(progress(60_000, seconds: 0.6), now: start.advanced(by: .seconds(2)))
            return pace(controller)?.reason
        }
        #expect(reason(.balanced) == "")
        #expect(reason(.polite) == "profile polite")
    }

    @Test func theQueryHoldsAndSaysWhy() {
        var controller = PaceController(PaceLimits())
        controller.observe(queryHold: "throttle-query")
        #expect(pace(controller) == ClaimPace(recordsPerSecond: 0, reason: "throttle-query"))
        #expect(cause(controller) == .throttleQuery)
        controller.observe(queryHold: nil)
        #expect(pace(controller) == .free)
    }

    @Test func theSlowestLimitCounts() {
        var limits = PaceLimits()
        limits.recordsPerSecond = 10
        limits.lag = PaceLimits.Lag(limit: .seconds(2), standbys: ["gone"])
        var controller = PaceController(limits)
        _ = controller.observe([], position: 1, now: start)
        #expect(
            pace(controller) == ClaimPace(recordsPerSecond: 0, reason: "standby gone is not connected"))
        #expect(cause(controller) == .standbyLag)
    }

    @Test func lockWaitsOfApplicationsSlowTheJobDownAndPass() {
        var controller = PaceController(PaceLimits())
        for second in 0...2 {
            controller.observe(progress(10_000 * second), now: start.advanced(by: .seconds(second)))
        }
        controller.observe(lockWaitOn: "t")
        #expect(
            pace(controller)
                == ClaimPace(recordsPerSecond: 7_000, reason: "lock waits of applications on table t"))
        #expect(cause(controller) == .lockWaits)
        controller.observe(lockWaitOn: "t")
        #expect(abs((pace(controller)?.recordsPerSecond ?? 0) - 4_900) < 1)
        for _ in 0..<30 { controller.observe(lockWaitOn: nil) }
        #expect(pace(controller) == .free)
        var heedless = PaceController(Profile.maintenance.limits)
        heedless.observe(lockWaitOn: "t")
        #expect(pace(heedless) == .free)
    }

    @Test func aGuardHoldsThenEndsTheJob() {
        var limits = PaceLimits()
        limits.guards.slotWAL = 1 << 30
        limits.guards.grace = .seconds(600)
        var controller = PaceController(limits)
        var reading = GuardConditions.Reading()
        reading.slot = ("s", 3 << 30)
        controller.observe(reading, now: start)
        let reason = "replication slot s retains 3 GB of WAL, above 1 GB (max-slot-wal)"
        #expect(pace(controller) == ClaimPace(recordsPerSecond: 0, reason: reason))
        #expect(cause(controller) == .slotWAL)
        // It passes in time once, then it does not.
        controller.observe(GuardConditions.Reading(), now: start.advanced(by: .seconds(599)))
        #expect(pace(controller) == .free)
        controller.observe(reading, now: start.advanced(by: .seconds(700)))
        controller.observe(reading, now: start.advanced(by: .seconds(1_299)))
        #expect(pace(controller)?.recordsPerSecond == 0)
        controller.observe(reading, now: start.advanced(by: .seconds(1_300)))
        #expect(controller.decide() == .stop("\(reason), for 600 s now"))
    }
}

/// What counts as beyond a limit.
@Suite struct GuardConditionsTests {
    private let start = ContinuousClock.now

    @Test func archivingMayFailForAWhile() {
        var limits = GuardLimits()
        limits.archiveFailing = .seconds(300)
        var conditions = GuardConditions(limits)
        var reading = GuardConditions.Reading()
        reading.isArchivingFailing = true
        #expect(conditions.breaches(reading, now: start).isEmpty)
        #expect(conditions.breaches(reading, now: start.advanced(by: .seconds(299))).isEmpty)
        #expect(
            conditions.breaches(reading, now: start.advanced(by: .seconds(301))).map(\.reason)
                == ["WAL archiving has been failing for 301 s (max-archive-failing)"])
        reading.isArchivingFailing = false
        #expect(conditions.breaches(reading, now: start.advanced(by: .seconds(302))).isEmpty)
        reading.isArchivingFailing = true
        #expect(conditions.breaches(reading, now: start.advanced(by: .seconds(303))).isEmpty)
    }

    @Test func aHorizonIsTimedByItsTransactionOrByWhenItWasSeen() {
        var limits = GuardLimits()
        limits.horizonAge = .seconds(60)
        var conditions = GuardConditions(limits)
        var reading = GuardConditions.Reading()
        reading.horizons = [("the transaction of pid 7", "740", 61), ("the replication slot s", "730", nil)]
        #expect(
            conditions.breaches(reading, now: start).map(\.reason)
                == ["the transaction of pid 7 holds VACUUM's horizon back for 61 s (max-horizon-age)"])
        reading.horizons = [("the replication slot s", "730", nil)]
        #expect(conditions.breaches(reading, now: start.advanced(by: .seconds(61))).count == 1)
        // A slot that moves on is no hindrance.
        reading.horizons = [("the replication slot s", "731", nil)]
        #expect(conditions.breaches(reading, now: start.advanced(by: .seconds(62))).isEmpty)
    }

    @Test func aMissingStandbyAndAFullDiskCountAtOnce() {
        var limits = GuardLimits()
        limits.freeDisk = 10 << 30
        var conditions = GuardConditions(limits)
        var reading = GuardConditions.Reading()
        reading.missingStandby = "missing"
        reading.freeDisk = 5 << 29
        let breaches = conditions.breaches(reading, now: start)
        #expect(breaches.map(\.cause) == [.synchronousStandby, .freeDisk])
        #expect(
            breaches.map(\.reason)
                == ["missing", "2.5 GB free on the server's disk, below 10 GB (min-free-disk)"])
    }
}
