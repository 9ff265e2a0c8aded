/// A table of the catalog as the database has it: what exists, checked, with everything that the SQL of the
/// later stages needs.
package struct EncryptedTable: Sendable, Hashable {
    /// As the catalog file names it; progress, reports and failures use this name.
    package let name: String
    /// What the names led to when they were looked up.
    package let identity: TableIdentity
    package let oid: UInt32
    /// The oid of the topmost ancestor (itself where it has none): what the table's advisory locks are keyed
    /// by, so that a catalog that names a partition and one that names the root exclude each other.
    package let lockOID: UInt32
    /// The id columns in the catalog's order; ids are reported in this order.
    package let idColumns: [IDColumn]
    package let columns: [EncryptedColumn]
    /// The relations that store rows, by oid: the table itself, and its partitions and inheriting children at
    /// every level. Partitioned tables store nothing and are not among them.
    package let leaves: [Leaf]

    package init(
        name: String, identity: TableIdentity, oid: UInt32, lockOID: UInt32, idColumns: [IDColumn],
        columns: [EncryptedColumn], leaves: [Leaf]
    ) {
        self.name = name
        self.identity = identity
        self.oid = oid
        self.lockOID = lockOID
        self.idColumns = idColumns
        self.columns = columns
        self.leaves = leaves
    }

    /// The same table, as its names were looked up at another moment.
    package func identified(as identity: TableIdentity) -> EncryptedTable {
        EncryptedTable(
            name: name, identity: identity, oid: oid, lockOID: lockOID, idColumns: idColumns,
            columns: columns,
            leaves: leaves)
    }
}

/// One column of the unique key that rows are enumerated by.
package struct IDColumn: Sendable, Hashable {
    package let name: String
    /// The type's SQL name for a cast: `uuid`, `bigint`, `character varying`, `numeric`, …
    package let type: String
    /// The collation of the unique index, quoted and qualified (`"pg_catalog"."C"`); nil for types without
    /// one. Comparisons in another collation than the index's would neither use it nor agree with its order.
    package let collation: String?

    package init(name: String, type: String, collation: String?) {
        self.name = name
        self.type = type
        self.collation = collation
    }
}

package struct EncryptedColumn: Sendable, Hashable {
    package let name: String
    package let type: ColumnType

    package init(name: String, type: ColumnType) {
        self.name = name
        self.type = type
    }
}

package enum ColumnType: Sendable, Hashable {
    case bytea
    case text
    /// `limit` in characters; nil for `varchar` without one.
    case varchar(limit: Int?)
    case json
    case jsonb
}

/// A relation that stores rows. `ctid` is unique only within one, so every statement names it with ONLY.
package struct Leaf: Sendable, Hashable {
    package let oid: UInt32
    package let schema: String
    package let name: String
    /// The id columns in the order of this leaf's unique index, with its collations: ranges follow it.
    package let rangeColumns: [IDColumn]
    /// Enabled row triggers or ALSO rules on UPDATE may store something else than was sent: RETURNING has to
    /// prove what was stored. Their names, for messages.
    package let updateHooks: [String]

    package init(
        oid: UInt32, schema: String, name: String, rangeColumns: [IDColumn], updateHooks: [String]
    ) {
        self.oid = oid
        self.schema = schema
        self.name = name
        self.rangeColumns = rangeColumns
        self.updateHooks = updateHooks
    }

    /// `"schema"."name"`, quoted for SQL.
    package var sqlName: String { SQLIdentifier.quoted(schema) + "." + SQLIdentifier.quoted(name) }
}
