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
        let (ids, columns) = (leaf.statements.idCount, leaf.statements.columnCount)
        guard result.rowCount > 0, result.integer(result.rowCount - 1, 0) == rows else { return nil }
        let id = { (row: Int) in (0..<ids).map { result.string(row, 1 + $0) ?? "" } }
        var ranges: [BatchRange] = []
        var range = BatchRange(
            table: leaf.table.name, leaf: leaf.leaf.oid, first: [], last: [], records: 0, rows: 0)
        var before = 0
        var bytes = 0
        for row in 0..<result.rowCount {
            guard let number = result.integer(row, 0) else { continue }
            if (number - 1) % stride == 0 { (range.first, range.rows, range.records) = (id(row), 0, 0) }
            // Both ends of a stride are given: what is left out belongs to this one.
            let left = number - before - 1
            var old = 0
            for column in 0..<columns {
                guard let value = result.bytes(row, 1 + ids + column) else { continue }
                bytes += value.count
                if value.isEmpty || !isCurrent(value, target) { old += 1 }
            }
            range.rows += left + (old > 0 ? 1 : 0)
            range.records += left * columns + old
            if number % stride == 0 || number == rows {
                range.last = id(row)
                if range.records > 0 { ranges.append(range) }
            }
            before = number
        }
        let last = id(result.rowCount - 1)
        return OldRowPage(ranges: ranges, next: last, last: last, bytes: bytes)
    }
}
