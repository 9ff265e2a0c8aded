import Catalog

/// What one lane has counted: numbers by leaf and column, so that a value costs no look-up.
struct LaneTally: Sendable {
    /// Values of one column of one leaf.
    struct Column: Sendable {
        /// Labelled with the target key, and good as far as the depth goes.
        var good = 0
        var nulls = 0
        /// Labelled with the target key, and bad.
        var unopened = 0
        /// By the key id they name; nil: no envelope.
        var others: [String?: Int] = [:]
    }

    /// By position of the leaf, then of the column.
    var columns: [[Column]]
    var failures = FailureList()
    var nonces = NonceLedger()
    /// Rows that hold one of the wanted nonces, in a search for duplicates.
    var suspects: [Suspect] = []

    struct Suspect: Sendable {
        let nonce: UInt64
        let valueHash: Int
        let place: String
    }

    init(_ leaves: [RangeDispenser.Leaf]) {
        columns = leaves.map { Array(repeating: Column(), count: $0.table.columns.count) }
    }
}
