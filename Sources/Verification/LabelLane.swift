import Catalog
import Postgres

/// Takes its part of a census in a snapshot that others share, over one session.
struct LabelLane {
    private let dispenser: RangeDispenser
    private let keyIDs: [String]

    init(_ dispenser: RangeDispenser, keyIDs: [String]) {
        self.dispenser = dispenser
        self.keyIDs = keyIDs
    }

    /// - Parameter session: in a transaction that sees the snapshot, with its locks.
    func run(
        _ session: PostgresSession, onRange: (_ blocks: Int, _ records: Int) -> Void
    ) throws -> Census {
        let taker = CensusTaker(dispenser.leaves.map(\.table), keyIDs: keyIDs)
        var census = Census()
        var statements: [Int: CensusStatements] = [:]
        var expectsFirstKey = true
        // Small enough that no lane is left with the last big piece.
        let size = max(64, min(CensusTaker.blocksPerCount, dispenser.totalBlocks / 32))
        while let range = dispenser.next({ _ in size }) {
            try Task.checkCancellation()
            let leaf = dispenser.leaves[range.leaf]
            let sql = statements[range.leaf] ?? CensusStatements(leaf.table, leaf.leaf, keyIDs: keyIDs)
            statements[range.leaf] = sql
            let before = census.totalRecords
            try taker.count(
                leaf.table, leaf.leaf, sql, blocks: range.blocks, expectsFirstKey: &expectsFirstKey, session,
                &census)
            onRange(range.blocks.count, census.totalRecords - before)
        }
        return census
    }
}
