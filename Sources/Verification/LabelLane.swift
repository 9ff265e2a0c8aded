import BlockingIO
import Catalog
import Postgres

/// One connection that takes its part of a census in a snapshot that others share.
actor LabelLane {
    private let thread = ConnectionThread()
    private let settings: ConnectionSettings

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(_ settings: ConnectionSettings) {
        self.settings = settings
    }

    func run(
        _ snapshot: String, _ dispenser: RangeDispenser, keyIDs: [String],
        onRange: @Sendable (_ blocks: Int, _ records: Int) -> Void
    ) throws -> Census {
        let session = try PostgresSession(connecting: settings)
        try SharedSnapshot.follow(snapshot, session)
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
        try SharedSnapshot.end(session)
        return census
    }
}
