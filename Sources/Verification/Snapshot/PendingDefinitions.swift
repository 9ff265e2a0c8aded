import Postgres

/// Transactions that may be about to attach a table, or to have one inherit. They hold ShareUpdateExclusiveLock on the
/// parent, which a reader's lock lets pass; nothing else shows before they commit. VACUUM and CREATE INDEX CONCURRENTLY
/// hold the same lock, but no transaction id.
enum PendingDefinitions {
    /// - Returns: each a few words: `process 42 (psql, user app) on public.t`.
    static func read(_ relations: [UInt32], _ session: PostgresSession) throws -> [String] {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        let result = try session.query(
            """
            SELECT CASE WHEN r.pid IS NULL THEN 'the prepared transaction ' || coalesce(min(p.gid), '?') \
            ELSE 'process ' || r.pid END || ' (' || coalesce(nullif(min(a.application_name), '') || ', ', '') \
            || 'user ' || coalesce(min(a.usename::text), min(p.owner::text), '?') || ') on ' \
            || string_agg(DISTINCT r.relation::regclass::text, ', ') \
            FROM pg_locks AS r JOIN pg_locks AS x ON x.virtualtransaction = r.virtualtransaction \
            AND x.pid IS NOT DISTINCT FROM r.pid AND x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock' \
            AND x.granted \
            LEFT JOIN pg_stat_activity AS a ON a.pid = r.pid \
            LEFT JOIN pg_prepared_xacts AS p ON p.transaction = x.transactionid AND x.pid IS NULL \
            WHERE r.locktype = 'relation' AND r.granted AND r.mode = 'ShareUpdateExclusiveLock' \
            AND r.relation = ANY($1) \
            AND r.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
            GROUP BY r.virtualtransaction, r.pid ORDER BY 1
            """, parameters)
        return try (0..<result.rowCount).map { row throws(PostgresError) in try result.text(row, 0) }
    }
}
