import Catalog
import Postgres

/// A column whose type can hold an envelope, in whatever stores rows.
struct CandidateColumn {
    let relation: UInt32
    let schema: String
    let table: String
    /// The root of the partitions that it is in; the relation itself where it is no partition.
    let rootOID: UInt32
    let rootSchema: String
    let rootTable: String
    let kind: Kind
    let name: String
    let type: String
    let form: Form
    let mayRead: Bool

    /// `pg_class.relkind`, as far as it bears on reading.
    enum Kind {
        case storing
        case partitioned
        case materialised
        /// A materialised view without its data.
        case unpopulated
        case foreign
    }

    /// How the bytes of a value are come by.
    enum Form {
        case bytes
        case text
        case jsonb
        /// An array: it has a name, its elements are not looked at.
        case list
    }

    var sqlName: String { SQLIdentifier.quoted(schema) + "." + SQLIdentifier.quoted(table) }
    var isNamedEncrypted: Bool { name.lowercased().hasSuffix("_encrypted") }

    /// Strings of any type, domains over them and citext too, are of category S; temporary tables of other
    /// sessions nobody else can read.
    private static let statement = """
        WITH RECURSIVE base (type, of) AS (
            SELECT oid, oid FROM pg_catalog.pg_type WHERE typtype <> 'd'
            UNION ALL
            SELECT t.oid, base.of FROM base JOIN pg_catalog.pg_type t ON t.typtype = 'd' AND t.typbasetype = base.type
        )
        SELECT c.oid, n.nspname, c.relname, root.oid, rn.nspname, root.relname, c.relkind::text,
            c.relispopulated,
            a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
            CASE WHEN b.oid = 17 THEN 'b' WHEN b.oid = 3802 THEN 'j' WHEN b.typcategory = 'A' THEN 'a'
                ELSE 't' END,
            pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_class root
            ON root.oid = CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid) ELSE c.oid END
        JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN base ON base.type = a.atttypid
        JOIN pg_catalog.pg_type b ON b.oid = base.of
        LEFT JOIN pg_catalog.pg_type e ON b.typcategory = 'A' AND e.oid = b.typelem
        WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't'
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND (b.oid IN (17, 114, 3802) OR b.typcategory = 'S' AND b.oid <> 19
                OR e.oid IN (17, 114, 3802) OR e.typcategory = 'S' AND e.oid <> 19)
        ORDER BY rn.nspname, root.relname, n.nspname, c.relname, a.attnum
        """

    static func all(_ session: PostgresSession) throws(PostgresError) -> [CandidateColumn] {
        let result = try session.query(statement)
        var columns: [CandidateColumn] = []
        for row in 0..<result.rowCount {
            guard let relation = result.oid(row, 0), let schema = result.string(row, 1),
                let table = result.string(row, 2), let rootOID = result.oid(row, 3),
                let rootSchema = result.string(row, 4), let rootTable = result.string(row, 5),
                let name = result.string(row, 8), let type = result.string(row, 9)
            else { throw PostgresError(.unexpectedAnswer, "a column of the system catalog has no name") }
            columns.append(
                CandidateColumn(
                    relation: relation, schema: schema, table: table, rootOID: rootOID,
                    rootSchema: rootSchema, rootTable: rootTable,
                    kind: kind(result.string(row, 6), isPopulated: result.bool(row, 7) == true),
                    name: name, type: type, form: form(result.string(row, 10)),
                    mayRead: result.bool(row, 11) == true))
        }
        return columns
    }

    private static func kind(_ letter: String?, isPopulated: Bool) -> Kind {
        switch letter {
        case "p": .partitioned
        case "m": isPopulated ? .materialised : .unpopulated
        case "f": .foreign
        default: .storing
        }
    }

    private static func form(_ letter: String?) -> Form {
        switch letter {
        case "b": .bytes
        case "j": .jsonb
        case "a": .list
        default: .text
        }
    }
}
