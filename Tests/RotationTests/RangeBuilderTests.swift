import BatchQueue
import Testing

@testable import Rotation

@Suite struct RangeBuilderTests {
    @Test func rowsFillRangesUpToTheirSize() throws {
        var builder = RangeBuilder(table: "t", leaf: 7, rangeRows: 2)
        for id in ["a", "b", "c"] { try builder.addRow(records: 2) { [id] } }
        let ranges = try builder.finish()
        #expect(ranges.map(\.first) == [["a"], ["c"]] && ranges.map(\.last) == [["b"], ["c"]])
        #expect(ranges.map(\.records) == [4, 2] && ranges.map(\.rows) == [2, 1])
        #expect(ranges.allSatisfy { $0.kind == .ids && $0.table == "t" && $0.leaf == 7 })
    }

    @Test func blocksAreNeverCutAndNeverPassTheSizeTogether() throws {
        var builder = RangeBuilder(table: "t", leaf: 7, kind: .blocks, rangeRows: 50)
        for (block, rows) in [(0, 20), (1, 20), (5, 20), (6, 90), (7, 1)] {
            try builder.add(
                rows: rows, records: rows, first: { ["(\(block),0)"] }, last: { ["(\(block),9)"] })
        }
        let ranges = try builder.finish()
        #expect(ranges.map(\.rows) == [40, 20, 90, 1])
        #expect(ranges.map(\.first) == [["(0,0)"], ["(5,0)"], ["(6,0)"], ["(7,0)"]])
        #expect(ranges.map(\.last) == [["(1,9)"], ["(5,9)"], ["(6,9)"], ["(7,9)"]])
        #expect(ranges.allSatisfy { $0.kind == .blocks })
    }

    @Test func nothingMakesNoRange() throws {
        var builder = RangeBuilder(table: "t", leaf: 7, rangeRows: 2)
        #expect(try builder.finish().isEmpty)
    }
}
