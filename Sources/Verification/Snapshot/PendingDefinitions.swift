import Catalog
import Postgres

/// Transactions that may be about to make a name of the catalog lead to other rows, by locks that a reader's lock lets
/// pass; nothing else shows before they commit:
///
/// - ShareUpdateExclusiveLock on a relation: `ATTACH PARTITION`, `INHERIT` and `CREATE TABLE … INHERITS` take it on the
///   parent. VACUUM and CREATE INDEX CONCURRENTLY hold the same lock, but no transaction id. `CREATE TABLE … PARTITION OF`
///   takes AccessExclusiveLock, which can be on a parent that our role may not read, and so has not locked.
/// - A lock on a schema that comes before the table's on the role's search_path, or on one that nobody else sees yet:
///   something is created in it, or moved into it, perhaps under the table's name. Or the lock of `ALTER TABLE … RENAME`
///   on a relation there.
/// - A lock on the list of schemas: one is renamed.
enum PendingDefinitions {
    /// - Returns: each a few words: `process 42 (psql, user app) on public.t`.
    static func read(_ tables: [EncryptedTable], _ session: PostgresSession) throws -> [String] {
        var parameters = QueryParameters()
        parameters.append(oids: Set(tables.flatMap(\.identity.members).map(\.oid)).sorted())
        let earlier = try schemasBefore(tables, session)
        parameters.append(texts: earlier ?? [])
        parameters.append(int4: earlier == nil ? 0 : 1)
        let result = try session.query(
            """
            SELECT CASE WHEN r.pid IS NULL THEN 'the prepared transaction ' || coalesce(min(p.gid), '?') \
            ELSE 'process ' || r.pid END || ' (' || coalesce(nullif(min(a.application_name), '') || ', ', '') \
            || 'user ' || coalesce(min(a.usename::text), min(p.owner::text), '?') || ') on ' \
            || string_agg(DISTINCT CASE WHEN r.locktype = 'object' \
            THEN 'the schema ' || CASE WHEN EXISTS (SELECT FROM pg_namespace AS n WHERE n.oid = r.objid) \
            THEN r.objid::regnamespace::text ELSE 'that it has just made' END \
            WHEN r.relation = 'pg_namespace'::regclass THEN 'the list of schemas' \
            ELSE r.relation::regclass::text END, ', ') \
            FROM pg_locks AS r JOIN pg_locks AS x ON x.virtualtransaction = r.virtualtransaction \
            AND x.pid IS NOT DISTINCT FROM r.pid AND x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock' \
            AND x.granted \
            LEFT JOIN pg_stat_activity AS a ON a.pid = r.pid \
            LEFT JOIN pg_prepared_xacts AS p ON p.transaction = x.transactionid AND x.pid IS NULL \
            WHERE r.granted AND r.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
            AND (r.locktype = 'relation' AND r.mode IN ('ShareUpdateExclusiveLock', 'AccessExclusiveLock') \
            AND r.relation = ANY($1) \
            OR r.locktype = 'relation' AND r.relation = 'pg_namespace'::regclass AND r.mode <> 'AccessShareLock' \
            OR $3 = 1 AND r.locktype = 'relation' AND r.mode = 'AccessExclusiveLock' AND EXISTS (SELECT FROM pg_class AS c \
            JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = r.relation AND n.nspname = ANY($2)) \
            OR $3 = 1 AND r.locktype = 'object' AND r.classid = 'pg_namespace'::regclass \
            AND NOT EXISTS (SELECT FROM pg_namespace AS n WHERE n.oid = r.objid AND n.nspname <> ALL($2))) \
            GROUP BY r.virtualtransaction, r.pid ORDER BY 1
            """, parameters)
        return try (0..<result.rowCount).map { row throws(PostgresError) in try result.text(row, 0) }
    }

    /// Schemas of the role's path that come before that of a table which the catalog names without one; nil where it
    /// names all of them.
    private static func schemasBefore(
        _ tables: [EncryptedTable], _ session: PostgresSession
    ) throws(PostgresError) -> [String]? {
        let unqualified = tables.filter { $0.identity.tableName.schema == nil }
        if unqualified.isEmpty { return nil }
        let path = try session.schemasOfRolePath()
        let last = unqualified.compactMap { table in
            let root = table.identity.members.first { $0.oid == table.identity.rootOID }
            return path.firstIndex { StoredName($0) == root.map { StoredName($0.schema) } }
        }.max()
        return Array(path[..<(last ?? path.endIndex)])
    }
}
