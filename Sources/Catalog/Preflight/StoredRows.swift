package import Postgres

/// Whether a table's rows are where its statements look for them: in blocks of the leaves' own files. Columnar stores
/// and extensions that keep rows elsewhere leave a file that says nothing.
package enum StoredRows {
    package static func problems(
        _ table: EncryptedTable, session: PostgresSession
    ) throws(PostgresError) -> [CatalogProblem] {
        let other = try otherMethods(table, session: session)
        if !other.isEmpty { return other }
        do {
            // A transaction for each: locks of many leaves together could fill the server's table of locks.
            for leaf in try emptyLeaves(table, session: session) {
                let problem = try session.transaction("BEGIN READ ONLY") { session in
                    try session.query("SET LOCAL lock_timeout = '3s'")
                    return try rowsWithoutBlocks(leaf, of: table, blocks: 0, session: session)
                }
                if let problem { return [problem] }
            }
            return []
        } catch let error as PostgresError where error.sqlState == .lockNotAvailable {
            return [
                CatalogProblem(
                    .warn, table: table.name, "a relation of it is locked by another session",
                    mend: "find it in pg_locks; the rotation waits for it")
            ]
        } catch let error as PostgresError {
            throw error
        } catch {
            throw PostgresError(.unexpectedAnswer, "a look at the rows failed with \(error)")
        }
    }

    /// A relation that somebody has locked is not waited for: the census looks again, in its snapshot.
    private static func emptyLeaves(
        _ table: EncryptedTable, session: PostgresSession
    ) throws(PostgresError) -> [Leaf] {
        let result = try session.query(
            """
            SELECT c.oid FROM pg_catalog.pg_class c
            WHERE c.oid = ANY ($1) AND c.relkind = 'r' AND CASE
                WHEN EXISTS (SELECT FROM pg_catalog.pg_locks l
                    WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock') THEN false
                ELSE pg_catalog.pg_relation_size(c.oid) = 0 END
            """, table.relationParameter())
        var empty: Set<UInt32> = []
        for row in 0..<result.rowCount { empty.insert(try result.objectID(row, 0)) }
        return table.leaves.filter { empty.contains($0.oid) }
    }

    /// No block is no row: asked of the rows themselves, in the caller's snapshot.
    /// - Parameter blocks: the leaf's size, as the caller goes by it.
    package static func rowsWithoutBlocks(
        _ leaf: Leaf, of table: EncryptedTable, blocks: Int, session: PostgresSession
    ) throws(PostgresError) -> CatalogProblem? {
        guard blocks == 0 else { return nil }
        let hasRows = try session.query("SELECT EXISTS (SELECT FROM ONLY \(leaf.sqlName))").flag(0, 0)
        return hasRows ? problem(table, leaf.sqlName, "its file is empty, and there are rows") : nil
    }

    private static func otherMethods(
        _ table: EncryptedTable, session: PostgresSession
    ) throws(PostgresError) -> [CatalogProblem] {
        let result = try session.query(
            """
            SELECT \(Relation.cells), am.amname
            FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_am am ON am.oid = c.relam
            WHERE c.oid = ANY ($1) AND c.relkind = 'r' AND c.relam <> \(heap)
            ORDER BY n.nspname, c.relname
            """, table.relationParameter())
        if result.rowCount == 0 { return [] }
        var names: [String] = []
        for row in 0..<result.rowCount { names.append(try Relation(result, row).sqlName) }
        return [problem(table, names.abridged(), "its access method is \(try result.text(0, 5))")]
    }

    /// The access method `heap`. Source: pg_am.dat.
    private static let heap = 2

    private static func problem(_ table: EncryptedTable, _ relation: String, _ why: String) -> CatalogProblem
    {
        CatalogProblem(
            .refuse, table: table.name,
            "\(relation) is a relation whose rows are not stored in its own heap (\(why)): neither a census nor a "
                + "rotation would see all of them",
            mend:
                "ALTER TABLE … SET ACCESS METHOD heap (PostgreSQL 15 and newer), or decompress it and take the extension's "
                + "hold off the table; else take it out of the catalog and keep the old key")
    }
}
