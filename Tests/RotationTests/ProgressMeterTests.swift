import BatchQueue
import Rotation
import Testing

@Suite struct ProgressMeterTests {
    private let start = ContinuousClock.now

    private func progress(total: Int, done: Int, enumerated: Bool = false) -> JobProgress {
        var progress = JobProgress()
        progress.recordsTotal = total
        progress.recordsRewrapped = done
        progress.enumerationDone = enumerated
        return progress
    }

    @Test func oneSampleTellsNoRate() {
        var meter = ProgressMeter()
        meter.beginSweep(oldRecords: 1_000, done: 0)
        let reading = meter.read(progress(total: 100, done: 50), at: start)
        #expect(reading.recordsPerSecond == nil)
        #expect(reading.remaining == nil)
        #expect(reading.total == 1_000)
    }

    @Test func untilEverythingIsEnumeratedTheCensusIsTheTotal() {
        var meter = ProgressMeter()
        meter.beginSweep(oldRecords: 1_000, done: 0)
        _ = meter.read(progress(total: 100, done: 0), at: start)
        let reading = meter.read(progress(total: 200, done: 100), at: start.advanced(by: .seconds(1)))
        #expect(reading.recordsPerSecond == 100)
        #expect(reading.remaining == .seconds(9))
        #expect(reading.fraction == 0.1)
        let later = meter.read(
            progress(total: 950, done: 475, enumerated: true), at: start.advanced(by: .seconds(2)))
        #expect(later.total == 950)
        #expect(later.fraction == 0.5)
    }

    @Test func theWindowMoves() {
        var meter = ProgressMeter()
        meter.beginSweep(oldRecords: 1_000_000, done: 0)
        for second in 0...20 {
            _ = meter.read(progress(total: 0, done: second * 100), at: start.advanced(by: .seconds(second)))
        }
        let reading = meter.read(progress(total: 0, done: 12_000), at: start.advanced(by: .seconds(21)))
        #expect((reading.recordsPerSecond ?? 0) > 1_000)
    }

    @Test func moreThanTheCensusIsNeverOverAHundredPercent() {
        var meter = ProgressMeter()
        meter.beginSweep(oldRecords: 10, done: 0)
        #expect(meter.read(progress(total: 20, done: 20), at: start).fraction == 1)
    }
}
