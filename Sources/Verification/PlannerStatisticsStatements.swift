/// The SQL that finds envelopes in the planner's statistics. `$1`: a table and its leaves, or none for all relations
/// that somebody has made; `$2`: its encrypted columns. Each gives: the relation's oid, schema and name, whether it is
/// partitioned, the schema and the name of its root, the values as the text form of an array, and the column's name, or
/// NULL for statistics that belong to no single column.
enum PlannerStatisticsStatements {
    static let all = [ofColumns, ofIndexes, ofSeveralColumns, ofExpressions]

    /// The table, everything below it, and everything above, whose statistics sample the table's rows too.
    private static let relations = """
        WITH RECURSIVE below (oid) AS (
            SELECT l FROM pg_catalog.unnest($1) l
            UNION
            SELECT i.inhrelid FROM below JOIN pg_catalog.pg_inherits i ON i.inhparent = below.oid
        ), related (oid) AS (
            SELECT oid FROM below
            UNION
            SELECT i.inhparent FROM related JOIN pg_catalog.pg_inherits i ON i.inhrelid = related.oid
        ), wanted (oid) AS (
            SELECT oid FROM related
            UNION ALL
            SELECT c.oid FROM pg_catalog.pg_class c
            WHERE pg_catalog.cardinality($1) = 0 AND c.relkind IN ('r', 'p', 'm', 'f') AND c.oid >= 16384
        ), relation AS (
            SELECT c.oid, n.nspname, c.relname, c.relkind = 'p' AS partitioned, rn.nspname AS rootschema,
                root.relname AS root
            FROM wanted JOIN pg_catalog.pg_class c ON c.oid = wanted.oid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_class root
                ON root.oid = CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid) ELSE c.oid END
            JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
        )
        SELECT r.oid, r.nspname, r.relname, r.partitioned, r.rootschema, r.root
        """

    private static let kept = """
        (VALUES (pg_catalog.concat(s.most_common_vals)), (pg_catalog.concat(s.histogram_bounds)),
            (pg_catalog.concat(s.most_common_elems))) AS v (kept)
        """

    private static let holds = SampleStatements.spells(
        ["dek_wrapped", EnvelopeTrace.memberInHex, "\\u"], "v.kept", isBytes: false)

    private static let ofColumns = """
        \(relations), v.kept, s.attname::text
        FROM relation r
        JOIN pg_catalog.pg_stats s ON s.schemaname = r.nspname AND s.tablename = r.relname
            AND (s.attname::text = ANY ($2) OR pg_catalog.cardinality($1) = 0)
        CROSS JOIN LATERAL \(kept)
        WHERE \(holds)
        """

    /// Statistics of an index's expressions are kept under the index's name.
    private static let ofIndexes = """
        \(relations), v.kept, NULL::pg_catalog.text
        FROM relation r
        JOIN pg_catalog.pg_index i ON i.indrelid = r.oid AND i.indexprs IS NOT NULL
        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        JOIN pg_catalog.pg_stats s ON s.schemaname = r.nspname AND s.tablename = c.relname
        CROSS JOIN LATERAL \(kept)
        WHERE pg_catalog.cardinality($2) >= 0 AND \(holds)
        """

    private static let ofSeveralColumns = """
        \(relations), v.kept, NULL::pg_catalog.text
        FROM relation r
        JOIN pg_catalog.pg_stats_ext s ON s.schemaname = r.nspname AND s.tablename = r.relname
        CROSS JOIN LATERAL (VALUES (pg_catalog.concat(s.most_common_vals))) AS v (kept)
        WHERE pg_catalog.cardinality($2) >= 0 AND \(holds)
        """

    private static let ofExpressions = """
        \(relations), v.kept, NULL::pg_catalog.text
        FROM relation r
        JOIN pg_catalog.pg_stats_ext_exprs s ON s.schemaname = r.nspname AND s.tablename = r.relname
        CROSS JOIN LATERAL \(kept)
        WHERE pg_catalog.cardinality($2) >= 0 AND \(holds)
        """
}
