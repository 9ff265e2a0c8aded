import BatchQueue
import Catalog
import Envelope
import Postgres

/// One page of an enumeration: the rows behind a cursor that hold old values, cut into ranges. The cursor is an id
/// here and in `OldRowPage+Strides.swift`, a place in `OldRowPage+Blocks.swift`.
struct OldRowPage: Sendable {
    let ranges: [BatchRange]
    /// Where the next page starts; nil behind the last row.
    let next: [String]?
    /// The last row given, or the last place, where the page has none behind it; nil for an empty page.
    let last: [String]?
    /// What the page cost in transfer.
    let bytes: Int

    var oldRows: Int { ranges.reduce(0) { $0 + $1.rows } }

    static let empty = OldRowPage(ranges: [], next: nil, last: nil, bytes: 0)

    /// Reads a page. Values whose label the server cannot vouch for are parsed here.
    static func read(
        _ leaf: PlannedLeaf, after cursor: [String]?, rows: Int, rangeRows: Int, target: KeyIDBytes,
        _ session: PostgresSession
    ) throws -> OldRowPage {
        var (statement, parameters) = leaf.statements.page(after: cursor, rows: rows)
        let result = try session.query(statement, &parameters)
        let cells = PageCells(result, leaf, target)
        var builder = RangeBuilder(table: leaf.table.name, leaf: leaf.leaf.oid, rangeRows: rangeRows)
        var bytes = 0
        for row in 0..<result.rowCount {
            let old = cells.old(row, &bytes)
            if old > 0 { try builder.addRow(records: old) { try cells.id(row) } }
        }
        let end = result.rowCount - 1
        let last = try end < 0 ? nil : cells.id(end)
        let isFull = end >= 0 && result.integer(end, 0) == rows
        return OldRowPage(
            ranges: try builder.finish(), next: isFull ? last : nil, last: last, bytes: bytes)
    }

    static func isCurrent(_ value: UnsafeRawBufferPointer, _ target: KeyIDBytes) -> Bool {
        do throws(EnvelopeError) {
            return try ParsedEnvelope(parsing: value).hasKeyID(target)
        } catch {
            return false
        }
    }
}

/// The rows that a page in key order gives: their number, their id, then what the server could not vouch for.
struct PageCells {
    private let result: PostgresResult
    private let target: KeyIDBytes
    private let idCount: Int
    private let columnCount: Int

    init(_ result: PostgresResult, _ leaf: PlannedLeaf, _ target: KeyIDBytes) {
        self.result = result
        self.target = target
        idCount = leaf.statements.idCount
        columnCount = leaf.statements.columnCount
    }

    func id(_ row: Int) throws -> [String] {
        try (0..<idCount).map { try result.text(row, 1 + $0) }
    }

    /// How many of a row's records are old. Adds the bytes that came for them.
    func old(_ row: Int, _ bytes: inout Int) -> Int {
        var old = 0
        for column in 0..<columnCount {
            guard let value = result.bytes(row, 1 + idCount + column) else { continue }
            bytes += value.count
            if value.isEmpty || !OldRowPage.isCurrent(value, target) { old += 1 }
        }
        return old
    }
}
