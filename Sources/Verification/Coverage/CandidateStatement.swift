/// The query for the columns that can hold an envelope.
enum CandidateStatement {
    /// Types of variable length that hold no text: `int2vector`, `numeric`, `bit`, `varbit`, `inet`, `cidr`, `path`,
    /// `polygon`, `txid_snapshot`, `pg_snapshot`, `oidvector`. Source: pg_type.dat.
    private static let withoutText = "22, 1700, 1560, 1562, 869, 650, 602, 604, 2970, 5038, 30"

    /// A type can hold text if it is of variable length, or is made of such a type: a domain, an array, a composite,
    /// a range. The oid of a system relation is below 16384, wherever somebody has made a table since. Temporary
    /// tables of other sessions nobody else can read. `$1`: a relation, or 0 for all.
    static let text = """
        WITH RECURSIVE base (type, of) AS (
            SELECT oid, oid FROM pg_catalog.pg_type WHERE typtype <> 'd'
            UNION ALL
            SELECT t.oid, base.of FROM base JOIN pg_catalog.pg_type t ON t.typtype = 'd' AND t.typbasetype = base.type
        ), edge (part, whole) AS (
            SELECT typbasetype, oid FROM pg_catalog.pg_type WHERE typtype = 'd'
            UNION ALL
            SELECT typelem, oid FROM pg_catalog.pg_type
            WHERE typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
            UNION ALL
            SELECT a.atttypid, c.reltype FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.reltype <> 0
            UNION ALL
            SELECT rngsubtype, rngtypid FROM pg_catalog.pg_range
            UNION ALL
            SELECT rngtypid, rngmultitypid FROM pg_catalog.pg_range
        ), holding (type) AS (
            SELECT oid FROM pg_catalog.pg_type
            WHERE typtype = 'b' AND typlen < 0 AND oid NOT IN (\(withoutText))
                AND typsubscript <> 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
            UNION
            SELECT edge.whole FROM holding JOIN edge ON edge.part = holding.type
        )
        SELECT c.oid, n.nspname, c.relname, root.oid, rn.nspname, root.relname, c.relkind::text,
            c.relispopulated, c.relam = 2,
            a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid,
            CASE WHEN base.of = 17 THEN 'b' WHEN base.of = 3802 THEN 'j'
                WHEN base.of IN (25, 114, 1042, 1043) THEN 't' ELSE 'o' END,
            pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_class root
            ON root.oid = CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid) ELSE c.oid END
        JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN base ON base.type = a.atttypid
        JOIN holding ON holding.type = a.atttypid
        WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND c.oid >= 16384
            AND ($1 = 0 OR c.oid = $1)
        ORDER BY rn.nspname, root.relname, n.nspname, c.relname, a.attnum
        """
}
