/// A range of rows of one leaf: the unit of work. It names rows by ids or by places alone; which table, columns
/// and key that means is the worker's own catalog's business.
package struct BatchRange: Sendable, Hashable, Codable {
    /// The table, as the catalog names it.
    package var table: String
    /// The oid of the leaf that stores the rows.
    package var leaf: UInt32
    /// The first and the last id, or the first and the last place, both included, as text; ids in the order of
    /// the leaf's unique index.
    package var first: [String]
    package var last: [String]
    /// How many old records it held when it was handed out (n).
    package var records: Int
    /// How many rows those were.
    package var rows: Int
    /// Since when locks of others have kept the range from being finished, in ms since the epoch.
    package var blockedSince: Int64?
    /// Left out of the message where it is `ids`.
    private var by: Kind?

    /// What a range's ends are.
    package enum Kind: String, Sendable, Codable {
        /// One text a column of the leaf's unique index.
        case ids
        /// One text, a `ctid`: the rows that are stored between two places of the table's file.
        case blocks
    }

    package var kind: Kind { by ?? .ids }

    /// Short names: a message is stored for every range that is outstanding.
    enum CodingKeys: String, CodingKey {
        case table, leaf, by, first, last, rows
        case records = "n"
        case blockedSince = "blocked"
    }

    package init(
        table: String, leaf: UInt32, kind: Kind = .ids, first: [String], last: [String], records: Int,
        rows: Int, blockedSince: Int64? = nil
    ) {
        by = kind == .ids ? nil : kind
        self.table = table
        self.leaf = leaf
        self.first = first
        self.last = last
        self.records = records
        self.rows = rows
        self.blockedSince = blockedSince
    }
}

/// A range in the hands of one worker, for one delivery.
package struct Lease: Sendable, Hashable {
    /// The batch's number within its generation; with the generation and the range it names the batch.
    package let sequence: UInt64
    /// Drawn afresh at each enumeration.
    package let generation: UInt64
    package let range: BatchRange
    /// How often the batch has been handed out, this time included.
    package let deliveries: Int
    /// How often a worker was lost that had it in hand.
    package let crashes: Int

    package init(
        sequence: UInt64, generation: UInt64, range: BatchRange, deliveries: Int, crashes: Int = 0
    ) {
        self.crashes = crashes
        self.sequence = sequence
        self.generation = generation
        self.range = range
        self.deliveries = deliveries
    }
}
