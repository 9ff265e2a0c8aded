import Postgres

/// A column with its type looked up through domains.
struct TableColumn {
    let relation: UInt32
    let name: String
    let isNotNull: Bool
    let isGenerated: Bool
    /// The base type's oid, its SQL name without a modifier, and the modifier (-1: none).
    let type: UInt32
    let typeName: String
    let modifier: Int

    /// - Parameter names: nil for all columns.
    static func all(
        of relations: [UInt32], named names: [String]?, session: PostgresSession
    ) throws(PostgresError) -> [UInt32: [TableColumn]] {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        parameters.append(texts: names ?? [])
        parameters.append(int4: names == nil ? 1 : 0)
        // A domain's modifier is its own; that of the column is unset then. Source: getBaseTypeAndTypmod.
        let result = try session.query(
            """
            WITH RECURSIVE typed AS (
                SELECT a.attrelid, a.attnum, a.attname, a.attnotnull, a.attgenerated <> '' AS generated,
                    a.atttypid AS type, a.atttypmod AS modifier
                FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
                    AND ($3 = 1 OR a.attname::text = ANY ($2))
                UNION ALL
                SELECT typed.attrelid, typed.attnum, typed.attname, typed.attnotnull, typed.generated,
                    t.typbasetype, t.typtypmod
                FROM typed JOIN pg_catalog.pg_type t ON t.oid = typed.type AND t.typtype = 'd'
            )
            SELECT attrelid, attname, attnotnull, generated, type,
                pg_catalog.format_type(type, NULL), modifier
            FROM typed JOIN pg_catalog.pg_type t ON t.oid = typed.type AND t.typtype <> 'd'
            ORDER BY attrelid, attnum
            """, parameters)
        var columns: [UInt32: [TableColumn]] = [:]
        for row in 0..<result.rowCount {
            let column = TableColumn(
                relation: try result.objectID(row, 0), name: try result.text(row, 1),
                isNotNull: try result.flag(row, 2), isGenerated: try result.flag(row, 3),
                type: try result.objectID(row, 4), typeName: try result.text(row, 5),
                modifier: try result.number(row, 6))
            columns[column.relation, default: []].append(column)
        }
        return columns
    }

    static let idTypes =
        "uuid, bigint, integer, smallint, text, varchar, timestamptz and numeric"
    static let encryptedTypes = "bytea, text, varchar, json and jsonb"

    // Oids of pg_type.dat; they never change.
    var isSupportedID: Bool { [2950, 20, 23, 21, 25, 1043, 1184, 1700].contains(type) }

    var encryptedType: ColumnType? {
        switch type {
        case 17: .bytea
        case 25: .text
        case 1043: .varchar(limit: modifier < 4 ? nil : modifier - 4)
        case 114: .json
        case 3802: .jsonb
        default: nil
        }
    }
}
