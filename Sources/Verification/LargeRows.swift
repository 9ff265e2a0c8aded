import Postgres

/// The places of the rows whose values an answer leaves out for their size, in portions of a bounded number of
/// bytes; at least one row each.
struct LargeRows: Sequence, IteratorProtocol {
    private let result: PostgresResult
    private let bytesCell: Int
    private let most: Int
    private var row = 0

    /// - Parameter bytesCell: the cell that says how many bytes the values of such a row have, else NULL.
    init(_ result: PostgresResult, bytesCell: Int, most: Int) {
        self.result = result
        self.bytesCell = bytesCell
        self.most = most
    }

    mutating func next() -> [[UInt8]]? {
        var places: [[UInt8]] = []
        var bytes = 0
        while row < result.rowCount {
            if let size = result.integer(row, bytesCell), let place = result.bytes(row, 0) {
                if !places.isEmpty, bytes + size > most { break }
                places.append(Array(place))
                bytes += size
            }
            row += 1
        }
        return places.isEmpty ? nil : places
    }
}
