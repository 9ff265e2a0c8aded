import Postgres

/// A row of `pg_class`, with its schema.
struct Relation: Sendable, Hashable {
    let oid: UInt32
    let schema: String
    let name: String
    let kind: Kind
    let isTemporary: Bool

    /// `pg_class.relkind`.
    struct Kind: Hashable, Sendable {
        let letter: String

        static let table = Kind(letter: "r")
        static let partitionedTable = Kind(letter: "p")
        static let foreignTable = Kind(letter: "f")

        var description: String {
            switch letter {
            case "r": "a table"
            case "p": "a partitioned table"
            case "f": "a foreign table"
            case "v": "a view"
            case "m": "a materialised view"
            case "S": "a sequence"
            case "i", "I": "an index"
            case "c": "a composite type"
            case "t": "a TOAST table"
            default: "a relation of kind \(letter)"
            }
        }
    }

    /// What a query has to select for `init(_:_:)`, from `pg_class c` and `pg_namespace n`.
    static let cells = "c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence = 't'"

    /// - Parameter first: where its cells begin.
    init(_ result: PostgresResult, _ row: Int, from first: Int = 0) throws(PostgresError) {
        oid = try result.objectID(row, first)
        schema = try result.text(row, first + 1)
        name = try result.text(row, first + 2)
        kind = Kind(letter: try result.text(row, first + 3))
        isTemporary = try result.flag(row, first + 4)
    }

    /// `"schema"."name"`, quoted for SQL.
    var sqlName: String { SQLIdentifier.quoted(schema) + "." + SQLIdentifier.quoted(name) }

    var isSystem: Bool {
        schema == "information_schema" || (schema.hasPrefix("pg_") && !isTemporary)
    }
}

extension Sequence<String> {
    /// The first five and how many more there are: a table may have thousands of partitions.
    func abridged() -> String {
        let all = Array(self)
        let shown = all.prefix(5).joined(separator: ", ")
        return all.count > 5 ? "\(shown) and \(all.count - 5) more" : shown
    }
}
