import BatchQueue
import Catalog
import Envelope
import Postgres

/// Pages in key order where most rows are old: a range is a stride of rows, and the server gives its ends and the
/// rows that are not old by their label. To be told of each row would cost more than to find it.
extension OldRowPage {
    /// - Returns: nil where the page is not full: the end of its last range is not given then.
    static func read(
        _ leaf: PlannedLeaf, after cursor: [String]?, rows: Int, stride: Int, target: KeyIDBytes,
        _ session: PostgresSession
    ) throws -> OldRowPage? {
        var (statement, parameters) = leaf.statements.strides(after: cursor, rows: rows, stride: stride)
        let result = try session.query(statement, &parameters)
        guard result.rowCount > 0, result.integer(result.rowCount - 1, 0) == rows else { return nil }
        let cells = PageCells(result, leaf, target)
        var builder = RangeBuilder(table: leaf.table.name, leaf: leaf.leaf.oid, rangeRows: stride)
        var (first, oldRows, records) = (0, 0, 0)
        var before = 0
        var bytes = 0
        for row in 0..<result.rowCount {
            guard let number = result.integer(row, 0) else { continue }
            if (number - 1) % stride == 0 { (first, oldRows, records) = (row, 0, 0) }
            // Both ends of a stride are given: what is left out belongs to this one.
            let left = number - before - 1
            let old = cells.old(row, &bytes)
            oldRows += left + (old > 0 ? 1 : 0)
            records += left * leaf.statements.columnCount + old
            if records > 0, number % stride == 0 || number == rows {
                let start = first
                try builder.add(
                    rows: oldRows, records: records, first: { try cells.id(start) },
                    last: { try cells.id(row) })
            }
            before = number
        }
        let last = try cells.id(result.rowCount - 1)
        return OldRowPage(ranges: try builder.finish(), next: last, last: last, bytes: bytes)
    }
}
