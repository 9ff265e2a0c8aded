import BatchQueue
import Catalog
import Envelope
import Postgres

/// Pages in physical order: blocks of the leaf's file, read one after the other. The server counts what is old block
/// by block; only values whose label it cannot vouch for are fetched.
extension OldRowPage {
    /// Records of unknown label that are fetched at once.
    private static let parsedAtOnce = 2_000

    /// - Parameters:
    ///   - leaf: with its statements by place.
    ///   - isLast: the leaf has no further blocks.
    static func read(
        _ leaf: PlannedLeaf, blocks: ClosedRange<UInt32>, isLast: Bool, rangeRows: Int, target: KeyIDBytes,
        _ session: PostgresSession
    ) throws -> OldRowPage {
        var (statement, parameters) = leaf.statements.blocks(blocks)
        let counts = try session.query(statement, &parameters)
        var found = try (0..<counts.rowCount).map { row in
            BlockCount(
                block: try Self.block(counts.number(row, 0)), rows: try counts.number(row, 1),
                old: try counts.number(row, 2), unlabelled: try counts.number(row, 3))
        }
        let bytes = try parseUnlabelled(&found, leaf, target, session)
        var builder = RangeBuilder(
            table: leaf.table.name, leaf: leaf.leaf.oid, kind: .blocks, rangeRows: rangeRows)
        for count in found where count.old > 0 {
            try builder.add(
                rows: count.rows, records: count.old, first: { [RowPlace.first(of: count.block).text] },
                last: { [RowPlace.last(of: count.block).text] })
        }
        let end = [RowPlace.last(of: blocks.upperBound).text]
        return OldRowPage(ranges: try builder.finish(), next: isLast ? nil : end, last: end, bytes: bytes)
    }

    private static func block(_ number: Int) throws -> UInt32 {
        guard let block = UInt32(exactly: number) else {
            throw PostgresError(.unexpectedAnswer, "a block has the number \(number)")
        }
        return block
    }

    private struct BlockCount {
        let block: UInt32
        /// Rows of which a column holds a value that is not surely current.
        var rows: Int
        /// Records known to be old.
        var old: Int
        /// Records that have to be parsed.
        let unlabelled: Int
    }

    /// Parses what the server could not tell, a bounded number of values at a time, and adds it to the counts.
    /// - Returns: the bytes that came.
    private static func parseUnlabelled(
        _ found: inout [BlockCount], _ leaf: PlannedLeaf, _ target: KeyIDBytes, _ session: PostgresSession
    ) throws -> Int {
        var bytes = 0
        var parameters = QueryParameters()
        var start = 0
        while let first = found[start...].firstIndex(where: { $0.unlabelled > 0 }) {
            var end = first
            var records = 0
            while end < found.count, end == first || records + found[end].unlabelled <= parsedAtOnce {
                records += found[end].unlabelled
                end += 1
            }
            parameters.removeAll()
            parameters.append(text: RowPlace.first(of: found[first].block).text)
            parameters.append(text: RowPlace.last(of: found[end - 1].block).text)
            let result = try session.query(leaf.statements.readUnlabelled, &parameters)
            bytes += count(result, in: &found[first..<end], target)
            start = end
        }
        return bytes
    }

    /// Adds what is old in a result (ctid, then the columns) to its block's count.
    private static func count(
        _ result: PostgresResult, in found: inout ArraySlice<BlockCount>, _ target: KeyIDBytes
    ) -> Int {
        var bytes = 0
        var index = found.startIndex
        for row in 0..<result.rowCount {
            guard let place = result.bytes(row, 0).flatMap({ RowPlace($0) }) else { continue }
            while index < found.endIndex, found[index].block < place.block { index += 1 }
            for column in 1..<result.columnCount {
                guard let value = result.bytes(row, column) else { continue }
                bytes += value.count
                // A block that came to hold one since it was counted has no range; the next sweep finds it.
                if index < found.endIndex, found[index].block == place.block, !isCurrent(value, target) {
                    found[index].old += 1
                }
            }
        }
        return bytes
    }
}
