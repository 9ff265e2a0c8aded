/// The SQL that finds envelopes in the planner's statistics.
///
/// Each statement gives: the relation's oid, schema and name, whether it is partitioned, the schema and the name of its
/// root, the values as the text form of an array, and the column's name, or NULL for statistics that belong to no
/// single column.
enum PlannerStatisticsStatements {
    /// Of a table, everything below it, and everything above, whose statistics sample the table's rows too. `$1`: the
    /// table and its leaves; `$2`: its encrypted columns.
    static let ofTable = views.map { view in
        """
        \(relations("SELECT l FROM pg_catalog.unnest($1) l"))
        SELECT \(cells), h.kept, CASE WHEN n.isindex THEN NULL ELSE h.attname END
        FROM named n CROSS JOIN LATERAL (\(view) AND s.schemaname = n.nspname AND s.tablename = n.statistics) AS h
        WHERE n.isindex OR h.attname IS NULL OR h.attname = ANY ($2)
        """
    }

    /// Of all relations that somebody has made. The values come first: there are few that hold an envelope, and many
    /// relations.
    static let ofDatabase = views.map { view in
        """
        \(relations(made)), held AS MATERIALIZED (\(view))
        SELECT \(cells), h.kept, CASE WHEN n.isindex THEN NULL ELSE h.attname END
        FROM held h JOIN named n ON n.nspname = h.schemaname AND n.statistics = h.tablename
        """
    }

    private static let made = """
        SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.oid >= 16384
        """

    private static let cells = "n.oid, n.nspname, n.relname, n.partitioned, n.rootschema, n.root"

    /// Statistics of an index's expressions are kept under the index's name.
    private static func relations(_ first: String) -> String {
        """
        WITH RECURSIVE below (oid) AS (
            \(first)
            UNION
            SELECT i.inhrelid FROM below JOIN pg_catalog.pg_inherits i ON i.inhparent = below.oid
        ), related (oid) AS (
            SELECT oid FROM below
            UNION
            SELECT i.inhparent FROM related JOIN pg_catalog.pg_inherits i ON i.inhrelid = related.oid
        ), relation AS (
            SELECT c.oid, n.nspname, c.relname, c.relkind = 'p' AS partitioned, rn.nspname AS rootschema,
                root.relname AS root
            FROM related JOIN pg_catalog.pg_class c ON c.oid = related.oid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_class root
                ON root.oid = CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid) ELSE c.oid END
            JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
        ), named AS (
            SELECT r.*, r.relname AS statistics, false AS isindex FROM relation r
            UNION ALL
            SELECT r.*, c.relname, true
            FROM relation r
            JOIN pg_catalog.pg_index i ON i.indrelid = r.oid AND i.indexprs IS NOT NULL
            JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        )
        """
    }

    /// Of single columns and of indexes; of several columns together; of expressions.
    private static let views = [
        view(
            "pg_stats", "s.attname::pg_catalog.text",
            kept: ["most_common_vals", "histogram_bounds", "most_common_elems"]),
        view("pg_stats_ext", "NULL::pg_catalog.text", kept: ["most_common_vals"]),
        view(
            "pg_stats_ext_exprs", "NULL::pg_catalog.text",
            kept: ["most_common_vals", "histogram_bounds", "most_common_elems"]),
    ]

    private static func view(_ name: String, _ column: String, kept: [String]) -> String {
        let values = kept.map { "(pg_catalog.concat(s.\($0)))" }.joined(separator: ", ")
        let holds = SampleStatements.spells(
            ["dek_wrapped", EnvelopeTrace.memberInHex, "\\u"], "v.kept", isBytes: false)
        return """
            SELECT s.schemaname, s.tablename, \(column) AS attname, v.kept
            FROM pg_catalog.\(name) s CROSS JOIN LATERAL (VALUES \(values)) AS v (kept) WHERE \(holds)
            """
    }
}
