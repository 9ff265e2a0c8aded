import Catalog
package import Postgres

/// The columns by which a table's rows can be told apart, for a catalog entry.
package struct TableKey: Sendable, Hashable {
    package let columns: [String]
    package let isPrimary: Bool

    package init(columns: [String], isPrimary: Bool) {
        self.columns = columns
        self.isPrimary = isPrimary
    }

    /// The primary key, else the shortest unique key of NOT NULL columns; nil where there is none.
    package static func best(
        ofTable table: String, in schema: String, _ session: PostgresSession
    ) throws(PostgresError) -> TableKey? {
        var parameters = QueryParameters()
        parameters.append(text: schema)
        parameters.append(text: table)
        let result = try session.query(
            """
            SELECT i.indexrelid, i.indisprimary, a.attname
            FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
            CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) AS key (position)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[key.position]
            WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
                AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
                AND NOT EXISTS (SELECT FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k (position)
                    JOIN pg_catalog.pg_attribute b ON b.attrelid = c.oid AND b.attnum = i.indkey[k.position]
                    WHERE NOT b.attnotnull)
            ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid, key.position
            """, parameters)
        guard result.rowCount > 0 else { return nil }
        let index = try result.objectID(0, 0)
        var columns: [String] = []
        for row in 0..<result.rowCount where try result.objectID(row, 0) == index {
            columns.append(try result.text(row, 2))
        }
        return TableKey(columns: columns, isPrimary: try result.flag(0, 1))
    }
}
