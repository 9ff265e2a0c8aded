package import Catalog
package import Postgres

extension PlannerStatistics {
    /// Statistics of the catalog's columns that the role may not read, each a sentence that speaks against the verdict.
    /// `pg_stats` and `pg_stats_ext` pass them over without a word: those of parents, of indexes over expressions, and
    /// those that are kept of several columns together, which are the table's owner's alone.
    package static func unreadable(
        of tables: [EncryptedTable], _ session: PostgresSession
    ) throws(PostgresError) -> [String] {
        var sentences: [String] = []
        for table in tables {
            var parameters = QueryParameters()
            parameters.append(oids: table.identity.members.map(\.oid))
            parameters.append(texts: table.columns.map(\.name))
            let result = try session.query(statement, parameters)
            for row in 0..<result.rowCount {
                sentences.append(
                    "The planner's statistics (pg_stats) of \(try result.text(row, 0)) may hold old values, and this role may not "
                        + "read them: verify as \(try result.text(row, 1)).")
            }
        }
        return sentences
    }

    /// Before its first ANALYZE a relation has -1 rows. Of extended statistics, those of most common values hold values.
    private static let statement = """
        WITH member AS (
            SELECT c.oid, c.relowner, c.reltuples, a.attnum, n.nspname, c.relname, a.attname FROM pg_catalog.pg_class AS c
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = ANY ($2)
                AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.oid = ANY ($1)
        )
        SELECT pg_catalog.format('%I.%I.%I', m.nspname, m.relname, m.attname), 'a role with SELECT on the column' FROM member AS m
        WHERE m.reltuples >= 0 AND NOT pg_catalog.has_column_privilege(m.oid, m.attnum, 'SELECT')
        UNION
        SELECT pg_catalog.format('the index %I', i.relname), 'a member of pg_read_all_data'
        FROM member AS m JOIN pg_catalog.pg_index AS x ON x.indrelid = m.oid AND x.indexprs IS NOT NULL
        JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid AND i.reltuples >= 0
        JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.oid
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = m.oid AND d.refobjsubid = m.attnum
        WHERE NOT pg_catalog.has_column_privilege(i.oid, 1::pg_catalog.int2, 'SELECT')
        UNION
        SELECT pg_catalog.format('%I.%I, kept under the name %I', m.nspname, m.relname, s.stxname), 'the table''s owner'
        FROM member AS m JOIN pg_catalog.pg_statistic_ext AS s ON s.stxrelid = m.oid AND 'm' = ANY (s.stxkind)
            AND (m.attnum = ANY (s.stxkeys::pg_catalog.int2[]) OR s.stxexprs IS NOT NULL)
        WHERE m.reltuples >= 0 AND NOT pg_catalog.pg_has_role(m.relowner, 'USAGE')
        ORDER BY 1, 2
        """
}
