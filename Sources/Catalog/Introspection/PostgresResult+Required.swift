import Postgres

/// Cells that cannot be NULL by the statement's own making: where one is, the error says so instead of a
/// default standing in for it.
extension PostgresResult {
    func text(_ row: Int, _ column: Int) throws(PostgresError) -> String {
        try required(string(row, column), column)
    }

    func flag(_ row: Int, _ column: Int) throws(PostgresError) -> Bool {
        try required(bool(row, column), column)
    }

    func number(_ row: Int, _ column: Int) throws(PostgresError) -> Int {
        try required(integer(row, column), column)
    }

    func objectID(_ row: Int, _ column: Int) throws(PostgresError) -> UInt32 {
        try required(oid(row, column), column)
    }

    private func required<T>(_ value: T?, _ column: Int) throws(PostgresError) -> T {
        guard let value else {
            throw PostgresError(
                .unexpectedAnswer, "cell \(column) of a catalog query is NULL or of another type")
        }
        return value
    }
}

extension QueryParameters {
    /// An array of oids.
    mutating func append(oids: [UInt32]) {
        var array = BinaryArray(of: .oid)
        for oid in oids {
            withUnsafeBytes(of: oid.bigEndian) { array.append($0) }
        }
        append(array: &array)
    }
}
