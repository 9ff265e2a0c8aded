package import Catalog

/// A column that is in no catalog and looks encrypted, or could not be looked at.
package struct CoverageFinding: Sendable, Hashable {
    /// Why it is one. A column is found once, for the reason that says most.
    package enum Reason: Sendable, Hashable {
        /// Values of the sample are envelopes.
        case envelopes
        /// Values of the sample hold envelopes among other things (an audit trail's image of a row), or
        /// damaged ones. Nothing can rewrap those in place.
        case embedded
        /// It is called `…_encrypted`, whatever it holds.
        case name
        /// Nobody knows what it holds.
        case notLookedAt(String)
    }

    /// What stores the rows.
    package enum Kind: String, Sendable, Hashable {
        case table
        case partitionedTable = "partitioned table"
        case materialisedView = "materialised view"
        case largeObject = "large object"
        /// A place in the system catalogs: a default, a view's definition, a function's body, a comment.
        case systemCatalog = "system catalog"
    }

    package let schema: String
    /// The root of a partitioned table stands for its partitions.
    package let table: String
    package let column: String
    /// As SQL names it.
    package let type: String
    package let kind: Kind
    package var reason: Reason
    /// Of the sample's envelopes, in order.
    package var keyIDs: [String]
    /// What holds it, in PostgreSQL's own words, where that is no column of a table: `view public.v`.
    package var objects: [String] = []
    /// The catalog has the table with other columns.
    package var isTableInCatalog = false

    package init(
        schema: String, table: String, column: String, type: String, kind: Kind, reason: Reason,
        keyIDs: [String] = []
    ) {
        self.schema = schema
        self.table = table
        self.column = column
        self.type = type
        self.kind = kind
        self.reason = reason
        self.keyIDs = keyIDs
    }

    /// As `ignore:` of the catalog writes it.
    package var qualifiedColumn: QualifiedColumn {
        QualifiedColumn(schema: schema, table: table, column: column)
    }

    /// `schema.table.column` with quotes where SQL's syntax needs them.
    package var place: String { CatalogName.dotted([schema, table, column]) }

    /// One sentence for a verdict.
    package var sentence: String {
        let keys = keyIDs.isEmpty ? "" : " under \(keyIDs.joined(separator: ", "))"
        if !objects.isEmpty { return sentenceOfObjects(keys) }
        switch reason {
        case .envelopes:
            return "\(place) holds envelopes\(keys) and is in no catalog."
        case .embedded:
            let under = keys.isEmpty ? "" : " (\(keys.dropFirst()))"
            return
                "\(place) holds envelopes inside larger values, or damaged ones\(under), and is in no catalog."
        case .name:
            return "\(place) is called encrypted and is in no catalog; no envelope was seen in it."
        case .notLookedAt(let why):
            return "\(place) could not be looked at: \(why)."
        }
    }

    private func sentenceOfObjects(_ keys: String) -> String {
        let more = objects.count > 5 ? " and \(objects.count - 5) more" : ""
        let named = objects.prefix(5).joined(separator: ", ") + more
        if case .notLookedAt(let why) = reason {
            return "\(named) (\(place)) could not be looked at: \(why)."
        }
        return "Envelopes\(keys) are in \(named) (\(place)), which no rotation reaches."
    }

    /// A word for programs.
    package var reasonCode: String {
        switch reason {
        case .envelopes: "envelopes"
        case .embedded: "embedded envelopes"
        case .name: "name"
        case .notLookedAt: "not looked at"
        }
    }

    /// Of two partitions' findings the one that says more stays.
    var rank: Int {
        switch reason {
        case .envelopes: 0
        case .embedded: 1
        case .notLookedAt: 2
        case .name: 3
        }
    }
}
