/// What a worker reports of a batch whose transaction it has committed.
package struct BatchResult: Sendable, Hashable {
    /// Records rewrapped and committed (r).
    package var rewrapped: Int
    /// Records that cannot be rewrapped (f).
    package var failures: [RecordFailure]
    /// What others' locks kept from this delivery: it becomes a new, delayed batch, and counts no failures
    /// here, since the delivery that hands nothing on reports them.
    package var remainder: BatchRange?
    package var cost = BatchCost()

    package init(rewrapped: Int, failures: [RecordFailure] = [], remainder: BatchRange? = nil) {
        self.rewrapped = rewrapped
        self.failures = remainder == nil ? failures : []
        self.remainder = remainder
    }
}

/// What finished ranges have cost, summed up: it decides how many rows the next ones hold.
package struct BatchCost: Sendable, Hashable {
    package var rows = 0
    /// Of the values that came from the server.
    package var bytes = 0
    /// From a range's claim to its commit.
    package var seconds = 0.0

    package init(rows: Int = 0, bytes: Int = 0, seconds: Double = 0) {
        self.rows = rows
        self.bytes = bytes
        self.seconds = seconds
    }

    package static func += (total: inout BatchCost, cost: BatchCost) {
        total.rows += cost.rows
        total.bytes += cost.bytes
        total.seconds += cost.seconds
    }

    package static func - (total: BatchCost, earlier: BatchCost) -> BatchCost {
        BatchCost(
            rows: total.rows - earlier.rows, bytes: total.bytes - earlier.bytes,
            seconds: total.seconds - earlier.seconds)
    }
}

/// A record that stays as it is, and why. Holds no part of the value.
package struct RecordFailure: Sendable, Hashable, Codable {
    package let table: String
    /// The row's id, one text a column of the catalog's id.
    package let id: [String]
    package let column: String
    /// The key id that the value claims, where it can be read.
    package let keyID: String?
    package let reason: String
    /// The row as a range of its own, by which it can be handed out again; nil for what is no single row.
    package let range: BatchRange?

    package init(
        table: String, id: [String], column: String, keyID: String?, reason: String, range: BatchRange? = nil
    ) {
        self.range = range
        self.table = table
        self.id = id
        self.column = column
        self.keyID = keyID
        self.reason = reason
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            table: try container.decode(String.self, forKey: .table),
            id: try Self.decodeID(from: container),
            column: try container.decode(String.self, forKey: .column),
            keyID: try container.decodeIfPresent(String.self, forKey: .keyID),
            reason: try container.decode(String.self, forKey: .reason))
    }

    /// An id of one column is a string, of several an array; a key id that cannot be read is null.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(table, forKey: .table)
        if id.count == 1 {
            try container.encode(id[0], forKey: .id)
        } else {
            try container.encode(id, forKey: .id)
        }
        try container.encode(column, forKey: .column)
        try container.encode(keyID, forKey: .keyID)
        try container.encode(reason, forKey: .reason)
    }

    private static func decodeID(from container: KeyedDecodingContainer<CodingKeys>) throws -> [String] {
        do {
            return [try container.decode(String.self, forKey: .id)]
        } catch is DecodingError {
            return try container.decode([String].self, forKey: .id)
        }
    }

    package enum CodingKeys: String, CodingKey {
        // `range` is the queue's own business: reports do without it.
        case table, id, column, reason
        case keyID = "key_id"
    }
}

/// What the queue makes of a report.
package enum AcknowledgeAnswer: String, Sendable, CaseIterable {
    /// The first report of this batch: it counts.
    case counted
    /// The batch has been reported before: nothing changes.
    case duplicate
    /// The batch belongs to an earlier generation: nothing changes.
    case stale
}

extension RecordFailure {
    /// A range that was given up as a whole.
    init(buried range: BatchRange, reason: String, canBeRetried: Bool = true) {
        let ends = range.first == range.last ? [range.first] : [range.first, range.last]
        let place = range.kind == .blocks ? "ctid " : ""
        self.init(
            table: range.table,
            id: [place + ends.map { $0.joined(separator: ", ") }.joined(separator: " … ")],
            column: "*", keyID: nil, reason: "\(range.records) records: \(reason)",
            range: canBeRetried ? range : nil)
    }
}
