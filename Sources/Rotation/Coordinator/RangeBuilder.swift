import BatchQueue

/// Collects rows, or blocks of rows, in order into ranges of at most `rangeRows`; a block is never cut. The end of
/// a range is read only where one ends.
struct RangeBuilder {
    private let table: String
    private let leaf: UInt32
    private let kind: BatchRange.Kind
    private let rangeRows: Int
    private var ranges: [BatchRange] = []
    private var open: BatchRange?
    private var readLast: (() throws -> [String])?

    init(table: String, leaf: UInt32, kind: BatchRange.Kind = .ids, rangeRows: Int) {
        self.table = table
        self.leaf = leaf
        self.kind = kind
        self.rangeRows = rangeRows
    }

    mutating func addRow(records: Int, id: @escaping () throws -> [String]) throws {
        try add(rows: 1, records: records, first: id, last: id)
    }

    mutating func add(
        rows: Int, records: Int, first: () throws -> [String], last: @escaping () throws -> [String]
    ) throws {
        if let open, open.rows + rows > rangeRows { try close() }
        if open == nil {
            open = BatchRange(
                table: table, leaf: leaf, kind: kind, first: try first(), last: [], records: 0, rows: 0)
        }
        open?.records += records
        open?.rows += rows
        readLast = last
    }

    mutating func finish() throws -> [BatchRange] {
        try close()
        return ranges
    }

    private mutating func close() throws {
        guard var range = open, let readLast else { return }
        range.last = try readLast()
        ranges.append(range)
        open = nil
        self.readLast = nil
    }
}
