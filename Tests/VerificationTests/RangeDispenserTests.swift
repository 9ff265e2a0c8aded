import Catalog
import Testing

@testable import Verification

@Suite("Every block is handed out once")
struct RangeDispenserTests {
    private func leaf(_ oid: UInt32, blocks: Int) -> RangeDispenser.Leaf {
        let leaf = Leaf(oid: oid, schema: "public", name: "leaf\(oid)", rangeColumns: [], updateHooks: [])
        let table = EncryptedTable(
            name: "secrets",
            identity: TableIdentity(
                tableName: TableName(schema: nil, name: "secrets"), columnNames: [], rootOID: 1, members: []),
            oid: 1, lockOID: 1, idColumns: [], columns: [], leaves: [leaf])
        return RangeDispenser.Leaf(table: table, leaf: leaf, blocks: blocks, bytesPerBlock: 8_192)
    }

    @Test(arguments: [1, 7, 1_000]) func bySize(size: Int) {
        let dispenser = RangeDispenser([leaf(1, blocks: 100), leaf(2, blocks: 0), leaf(3, blocks: 13)])
        #expect(dispenser.totalBlocks == 113)
        var next = [0, 0, 0]
        while let range = dispenser.next({ _ in size }) {
            #expect(range.blocks.lowerBound == next[range.leaf])
            #expect(range.blocks.count <= size && !range.blocks.isEmpty)
            next[range.leaf] = range.blocks.upperBound
        }
        #expect(next == [100, 0, 13])
    }

    @Test func aSizeOfNothingStillEnds() {
        let dispenser = RangeDispenser([leaf(1, blocks: 3)])
        var count = 0
        while dispenser.next({ _ in 0 }) != nil { count += 1 }
        #expect(count == 3)
    }

    @Test func noLeavesGiveNoRange() {
        #expect(RangeDispenser([]).next { _ in 1 } == nil)
    }
}
