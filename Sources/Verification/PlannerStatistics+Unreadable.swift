package import Catalog
package import Postgres

extension PlannerStatistics {
    /// Relations of the catalog that have statistics which the role may not read, each a sentence that speaks against
    /// the verdict. `pg_stats` passes them over without a word. They are parents: what stores rows must be readable.
    package static func unreadable(
        of tables: [EncryptedTable], _ session: PostgresSession
    ) throws(PostgresError) -> [String] {
        var sentences: [String] = []
        for table in tables {
            var parameters = QueryParameters()
            parameters.append(oids: table.identity.members.map(\.oid))
            parameters.append(texts: table.columns.map(\.name))
            // Before its first ANALYZE a relation has -1 rows.
            let result = try session.query(
                """
                SELECT DISTINCT n.nspname, c.relname, a.attname FROM pg_catalog.pg_class AS c
                JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = ANY ($2)
                    AND a.attnum > 0 AND NOT a.attisdropped
                WHERE c.oid = ANY ($1) AND c.reltuples >= 0
                    AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
                ORDER BY 1, 2, 3
                """, parameters)
            for row in 0..<result.rowCount {
                let place = CatalogName.dotted(
                    [try result.text(row, 0), try result.text(row, 1), try result.text(row, 2)])
                sentences.append(
                    "The planner's statistics (pg_stats) of \(place) may hold old values, and this role may not read them: "
                        + "GRANT SELECT on the column to it, or verify as a role of pg_read_all_data.")
            }
        }
        return sentences
    }
}
