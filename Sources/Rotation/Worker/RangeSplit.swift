import BatchQueue

/// Cuts a range that one of its rows spoils.
enum RangeSplit {
    /// Two ranges over the rows that are there now, or one where there is one row.
    /// - Parameter rows: each row's range id and how many old records it holds, in id order; not empty.
    static func halves(of range: BatchRange, _ rows: [(id: [String], records: Int)]) -> [BatchRange] {
        let middle = (rows.count + 1) / 2
        return [rows[..<middle], rows[middle...]].compactMap { part in
            guard let first = part.first, let last = part.last else { return nil }
            var half = range
            half.first = first.id
            half.last = last.id
            half.rows = part.count
            half.records = part.reduce(0) { $0 + $1.records }
            return half
        }
    }
}
