import Rotation
import Testing

/// The governor against a model of a primary and a standby, on a clock of the test's own.
@Suite struct LagGovernorTests {
    /// A job that takes what it is allowed up to `fastest` records a second, and a standby that replays
    /// `replay` records a second; the application writes besides.
    struct Plant {
        var fastest = 50_000.0
        var replay = 10_000.0
        var application = 500.0
        static let bytesPerRecord = 600.0

        private(set) var position = 0.0
        private(set) var replayed = 0.0
        private(set) var done = 0.0
        private(set) var lags: [Double] = []
        private(set) var rates: [Double] = []
        private var positions: [Double] = []
        private var doneAt: [Double] = []
        var now = ContinuousClock.now
        var governor: LagGovernor

        init(limit: Duration, isExplicit: Bool = true) {
            governor = LagGovernor(PaceLimits.Lag(limit: limit, isExplicit: isExplicit))
        }

        /// Ten seconds are 50 decisions; between two of them the world moves on in steps of 20 ms.
        mutating func run(seconds: Double) -> LagGovernor.Verdict {
            var verdict = LagGovernor.Verdict()
            for _ in 0..<Int(seconds * 5) {
                let past = doneAt.count >= 5 ? doneAt[doneAt.count - 5] : 0
                doneAt.append(done)
                verdict = governor.decide(
                    [StandbyReading(name: "s", pid: 1, replayed: replayed)], position: position,
                    recordsPerSecond: done - past, now: now)
                let rate = min(verdict.rate ?? fastest, fastest)
                rates.append(rate)
                for _ in 0..<10 {
                    done += rate * 0.02
                    position += (rate + application) * 0.02 * Self.bytesPerRecord
                    replayed = min(position, replayed + replay * 0.02 * Self.bytesPerRecord)
                    positions.append(position)
                    now = now.advanced(by: .milliseconds(20))
                }
                let passed = positions.lastIndex { $0 <= replayed } ?? 0
                lags.append(Double(positions.count - 1 - passed) * 0.02)
            }
            return verdict
        }
    }

    @Test(arguments: [2_000.0, 10_000, 30_000])
    func aSlowStandbyStaysBelowTheLimit(replay: Double) {
        var plant = Plant(limit: .seconds(2))
        plant.replay = replay
        _ = plant.run(seconds: 60)
        #expect(plant.lags.max() ?? 9 < 3)
        // Steady: after the start neither stop nor full speed, and the standby is made use of.
        let settled = plant.rates.suffix(200)
        let mean = settled.reduce(0, +) / Double(settled.count)
        #expect(mean > 0.85 * (replay - plant.application) && mean < 1.05 * replay)
        #expect(settled.min() ?? 0 > 0.5 * mean && settled.max() ?? 0 < 1.5 * mean)
    }

    @Test func aFastStandbyIsNoLimitForLong() {
        var plant = Plant(limit: .seconds(2))
        plant.replay = 1_000_000
        let verdict = plant.run(seconds: 15)
        #expect(plant.rates.last == plant.fastest)
        #expect(verdict.reason == "")
    }

    @Test func aStandbyThatStopsReplayingEndsTheHandingOutAndOneThatGoesOnStartsIt() {
        var plant = Plant(limit: .seconds(2))
        plant.replay = 40_000
        _ = plant.run(seconds: 10)
        plant.replay = 0
        let verdict = plant.run(seconds: 10)
        #expect(verdict.rate == 0)
        #expect(verdict.reason.hasPrefix("lag ") && verdict.reason.hasSuffix(" s of standby s above 2 s"))
        plant.replay = 40_000
        _ = plant.run(seconds: 15)
        #expect(plant.rates.last ?? 0 > 20_000)
    }

    @Test func aStandbyThatSlowsDownIsFollowed() {
        var plant = Plant(limit: .seconds(2))
        plant.replay = 30_000
        _ = plant.run(seconds: 20)
        plant.replay = 10_000
        _ = plant.run(seconds: 40)
        #expect(plant.lags.suffix(100).max() ?? 9 < 2)
        #expect(plant.lags.max() ?? 9 < 4)
    }

    @Test func aStandbyBehindFromTheStartCountsOnlyWhenAskedFor() {
        let behind = StandbyReading(name: "delayed", pid: 7, replayed: 0, reportedLag: 3_600)
        let now = ContinuousClock.now
        var profile = LagGovernor(PaceLimits.Lag(limit: .seconds(10), isExplicit: false))
        let first = profile.decide([behind], position: 1e9, recordsPerSecond: 0, now: now)
        #expect(first.newlyIgnored == ["delayed"] && first.rate == nil)
        var asked = LagGovernor(PaceLimits.Lag(limit: .seconds(10)))
        #expect(asked.decide([behind], position: 1e9, recordsPerSecond: 0, now: now).rate == 0)
    }

    @Test func aNamedStandbyMustBeThere() {
        var governor = LagGovernor(PaceLimits.Lag(limit: .seconds(2), standbys: ["a"]))
        let other = StandbyReading(name: "b", pid: 1, replayed: 0, reportedLag: 100)
        let verdict = governor.decide([other], position: 1e9, recordsPerSecond: 0, now: .now)
        #expect(verdict.rate == 0 && verdict.reason == "standby a is not connected")
    }
}
