/// A record that needs, or may need, a key other than the target.
package struct FailedRecord: Sendable, Hashable, Encodable {
    package let table: String
    /// The id columns in the catalog's order, as text.
    package let id: [String]
    package let column: String
    /// The key id that the value names; nil where it is no envelope.
    package let keyID: String?
    /// One sentence; never bytes of the value.
    package let reason: String

    package init(table: String, id: [String], column: String, keyID: String?, reason: String) {
        self.table = table
        self.id = id
        self.column = column
        self.keyID = keyID
        self.reason = reason
    }

    /// `table.column (id=…)`.
    package var place: String {
        let text = id.count == 1 ? id[0] : "(" + id.joined(separator: ", ") + ")"
        return "\(table).\(column) (id=\(text))"
    }
}

/// Failed records: all of them counted, the first ones kept.
package struct FailureList: Sendable, Hashable, Encodable {
    /// How many are kept, so that a database full of old records fits into memory.
    package static let capacity = 10_000

    package private(set) var total = 0
    package private(set) var listed: [FailedRecord] = []

    package init() {}

    package var hasRoom: Bool { listed.count < Self.capacity }

    package mutating func append(_ record: FailedRecord) {
        total += 1
        if hasRoom { listed.append(record) }
    }

    /// Counts a record that is not named.
    package mutating func count(_ records: Int) { total += records }

    package mutating func merge(_ other: FailureList) {
        total += other.total
        listed.append(contentsOf: other.listed.prefix(Self.capacity - listed.count))
    }
}
