import Postgres

/// What runs besides, or instead of, an UPDATE of an encrypted column.
struct UpdateHooks {
    /// Enabled row triggers and ALSO rules by relation: they may store something else than was sent.
    let also: [UInt32: [String]]
    /// Enabled INSTEAD rules by relation: the UPDATE does not happen.
    let instead: [UInt32: [String]]

    init(
        of relations: [UInt32], columns: [String], session: PostgresSession
    ) throws(PostgresError) {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        parameters.append(texts: columns)
        // - tgtype 1 is FOR EACH ROW, 16 is UPDATE (pg_trigger.h).
        // - Up to version 14 a trigger that a partition has from its parent is marked internal; those of
        //   foreign keys are internal in their own right and look at other columns.
        // - A trigger OF columns that the UPDATE does not name never fires, unless one of them is generated.
        // - session_replication_role decides which of the enabled ones fire; a role may have it preset.
        let result = try session.query(
            """
            WITH firing (state) AS (
                VALUES ('A'), (CASE pg_catalog.current_setting('session_replication_role')
                    WHEN 'replica' THEN 'R' ELSE 'O' END)
            )
            SELECT t.tgrelid, 'trigger ' || pg_catalog.quote_ident(t.tgname), false
            FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
            WHERE t.tgrelid = ANY ($1) AND t.tgtype & 17 = 17
                AND t.tgenabled::text IN (SELECT state FROM firing)
                AND (NOT t.tgisinternal
                    OR t.tgparentid <> 0 AND p.proname !~ '^(RI_FKey_|unique_key_recheck$)')
                AND (pg_catalog.cardinality(t.tgattr::int2[]) = 0 OR EXISTS (
                    SELECT FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr::int2[])
                        AND (a.attname::text = ANY ($2) OR a.attgenerated <> '')))
            UNION ALL
            SELECT r.ev_class, 'rule ' || pg_catalog.quote_ident(r.rulename), r.is_instead
            FROM pg_catalog.pg_rewrite r
            WHERE r.ev_class = ANY ($1) AND r.ev_type = '2'
                AND r.ev_enabled::text IN (SELECT state FROM firing)
            ORDER BY 1, 2
            """, parameters)
        var also: [UInt32: [String]] = [:]
        var instead: [UInt32: [String]] = [:]
        for row in 0..<result.rowCount {
            let relation = try result.objectID(row, 0)
            let hook = try result.text(row, 1)
            if try result.flag(row, 2) {
                instead[relation, default: []].append(hook)
            } else {
                also[relation, default: []].append(hook)
            }
        }
        self.also = also
        self.instead = instead
    }
}
