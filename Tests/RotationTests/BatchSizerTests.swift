import Rotation
import Testing

@Suite struct BatchSizerTests {
    @Test func startsAtAHundredAndAtMostDoubles() {
        var sizer = BatchSizer(fixed: nil)
        #expect(sizer.rows == 100)
        sizer.record(rows: 100, bytes: 30_000, seconds: 0.001)
        #expect(sizer.rows == 200)
        sizer.record(rows: 200, bytes: 60_000, seconds: 0.002)
        #expect(sizer.rows == 400)
    }

    @Test func settlesWhenGrowthIsNoLongerTheBound() {
        var sizer = BatchSizer(fixed: nil)
        for _ in 0..<3 { sizer.record(rows: sizer.rows, bytes: 331 * sizer.rows, seconds: 0.001) }
        #expect(!sizer.isSettled)
        sizer.record(rows: sizer.rows, bytes: 331 * sizer.rows, seconds: 0.001)
        #expect(sizer.isSettled && sizer.rows == 1_000)
        #expect(BatchSizer(fixed: 50).isSettled)
        var slow = BatchSizer(fixed: nil)
        slow.record(rows: 100, bytes: 331, seconds: 5)
        #expect(slow.isSettled)
    }

    @Test func staysWithinAThousandRows() {
        var sizer = BatchSizer(fixed: nil)
        for _ in 0..<20 { sizer.record(rows: sizer.rows, bytes: 331 * sizer.rows, seconds: 0.001) }
        #expect(sizer.rows == 1_000)
    }

    @Test func slowRowsMakeShortRanges() {
        var sizer = BatchSizer(fixed: nil)
        for _ in 0..<50 { sizer.record(rows: sizer.rows, bytes: 331, seconds: 0.005 * Double(sizer.rows)) }
        #expect(sizer.rows == 20)
    }

    @Test func largeValuesMakeShortRanges() {
        var sizer = BatchSizer(fixed: nil)
        for _ in 0..<50 { sizer.record(rows: sizer.rows, bytes: 16_384 * sizer.rows, seconds: 0.001) }
        #expect(sizer.rows * 16_384 <= 2_000_000)
    }

    @Test func aSplitHalves() {
        var sizer = BatchSizer(fixed: nil)
        sizer.record(rows: 100, bytes: 1, seconds: 0.1, wasSplit: true)
        #expect(sizer.rows == 50)
    }

    @Test func theTargetIsAParameterWithABound() {
        var short = BatchSizer(fixed: nil, targetSeconds: 0.025, largest: 200)
        var long = BatchSizer(fixed: nil, targetSeconds: 60, largest: 5_000)
        for _ in 0..<50 {
            short.record(rows: short.rows, bytes: 1, seconds: 0.001 * Double(short.rows))
            long.record(rows: long.rows, bytes: 1, seconds: 0.001 * Double(long.rows))
        }
        #expect(short.rows == 25 && long.rows == 250)
        for _ in 0..<50 { short.record(rows: short.rows, bytes: 1, seconds: 0.0001) }
        #expect(short.rows == 200)
    }

    @Test func theOperatorsSizeStays() {
        var sizer = BatchSizer(fixed: 777)
        sizer.record(rows: 777, bytes: 1 << 30, seconds: 100, wasSplit: true)
        #expect(sizer.rows == 777)
    }
}
