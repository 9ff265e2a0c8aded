/// Cells that a statement cannot leave NULL. If one is missing all the same, the error says so: a default in its
/// place would be an answer that the server never gave.
extension PostgresResult {
    package func text(
        _ row: Int, _ column: Int, file: String = #fileID, line: Int = #line
    ) throws(PostgresError) -> String {
        try required(string(row, column), column, file, line)
    }

    package func flag(
        _ row: Int, _ column: Int, file: String = #fileID, line: Int = #line
    ) throws(PostgresError) -> Bool {
        try required(bool(row, column), column, file, line)
    }

    package func number(
        _ row: Int, _ column: Int, file: String = #fileID, line: Int = #line
    ) throws(PostgresError) -> Int {
        try required(integer(row, column), column, file, line)
    }

    package func objectID(
        _ row: Int, _ column: Int, file: String = #fileID, line: Int = #line
    ) throws(PostgresError) -> UInt32 {
        try required(oid(row, column), column, file, line)
    }

    private func required<T>(
        _ value: T?, _ column: Int, _ file: String, _ line: Int
    ) throws(PostgresError) -> T {
        guard let value else {
            throw PostgresError(
                .unexpectedAnswer, "cell \(column) of an answer is missing or of another type", file: file,
                line: line)
        }
        return value
    }
}

extension QueryParameters {
    /// An array of oids.
    package mutating func append(oids: [UInt32]) {
        var array = BinaryArray(of: .oid)
        for oid in oids {
            withUnsafeBytes(of: oid.bigEndian) { array.append($0) }
        }
        append(array: &array)
    }
}
