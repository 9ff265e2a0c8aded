import Postgres

/// What about a table makes UPDATEs of its encrypted columns fail or go elsewhere.
struct UpdateObstacles {
    private let table: EncryptedTable
    private let session: PostgresSession
    private let severity: CatalogProblem.Severity

    init(_ table: EncryptedTable, session: PostgresSession, severity: CatalogProblem.Severity) {
        self.table = table
        self.session = session
        self.severity = severity
    }

    func problems() throws(PostgresError) -> [CatalogProblem] {
        try generatedColumns() + replicaIdentity() + hooks()
    }

    private func generatedColumns() throws(PostgresError) -> [CatalogProblem] {
        let columns = try TableColumn.all(
            of: table.relationOIDs, named: table.columns.map(\.name), session: session)
        return table.columns.compactMap { column in
            let isGenerated = columns.values.contains { leaf in
                leaf.contains { $0.isGenerated && StoredName($0.name) == StoredName(column.name) }
            }
            guard isGenerated else { return nil }
            return CatalogProblem(
                .refuse, table: table.name, column: column.name,
                "it is a generated column, which cannot be updated",
                mend: "list the column that it is generated from")
        }
    }

    /// PostgreSQL refuses every UPDATE (55000) of a relation that is published for UPDATE and has no way to
    /// name the old row. Source: CheckCmdReplicaIdentity and RelationGetIndexList.
    private func replicaIdentity() throws(PostgresError) -> [CatalogProblem] {
        // Publications of whole schemas came with version 15.
        let bySchema =
            session.serverVersion < 150_000
            ? ""
            : """
            OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s
                JOIN pg_catalog.pg_class c ON c.relnamespace = s.pnnspid
                WHERE s.pnpubid = p.oid AND c.oid = up.oid)
            """
        var parameters = QueryParameters()
        parameters.append(oids: table.leaves.map(\.oid))
        let result = try session.query(
            """
            WITH RECURSIVE up (leaf, oid) AS (
                SELECT l, l FROM pg_catalog.unnest($1) l
                UNION
                SELECT up.leaf, i.inhparent
                FROM up JOIN pg_catalog.pg_class c ON c.oid = up.oid AND c.relispartition
                JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.oid
            ), published AS (
                SELECT up.leaf, pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(p.pubname), ', ') AS names
                FROM up JOIN pg_catalog.pg_publication p ON p.pubupdate AND (p.puballtables
                    OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r
                        WHERE r.prpubid = p.oid AND r.prrelid = up.oid)
                    \(bySchema))
                GROUP BY up.leaf
            )
            SELECT c.oid, published.names
            FROM published JOIN pg_catalog.pg_class c ON c.oid = published.leaf
            WHERE c.relpersistence = 'p' AND c.relreplident <> 'f' AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_index i
                WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
                    AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident
                        ELSE false END)
            ORDER BY 1
            """, parameters)
        if result.rowCount == 0 { return [] }
        var names: [String] = []
        for row in 0..<result.rowCount { names.append(table.leafName(try result.objectID(row, 0))) }
        let mends = names.prefix(5).map { "ALTER TABLE \($0) REPLICA IDENTITY FULL" }
        return [
            CatalogProblem(
                severity, table: table.name,
                "\(names.abridged()) is published for UPDATE (\(try result.text(0, 1))) without a usable "
                    + "replica identity: the server refuses every UPDATE (SQLSTATE 55000)",
                mend: "\(mends.joined(separator: "; ")); or REPLICA IDENTITY USING INDEX with a unique, "
                    + "not deferrable index of NOT NULL columns")
        ]
    }

    private func hooks() throws(PostgresError) -> [CatalogProblem] {
        let hooks = try UpdateHooks(
            of: table.leaves.map(\.oid), columns: table.columns.map(\.name), session: session)
        var problems: [CatalogProblem] = []
        let instead = table.leaves.flatMap { leaf in
            (hooks.instead[leaf.oid] ?? []).map { "\($0) of \(leaf.sqlName)" }
        }
        if !instead.isEmpty {
            problems.append(
                CatalogProblem(
                    severity, table: table.name,
                    "UPDATEs are rewritten by an INSTEAD rule and do not reach the rows: \(instead.abridged())",
                    mend: "ALTER TABLE … DISABLE RULE for the time of the rotation"))
        }
        let also = table.leaves.flatMap { leaf in
            (hooks.also[leaf.oid] ?? []).map { "\($0) of \(leaf.sqlName)" }
        }
        if !also.isEmpty {
            problems.append(
                CatalogProblem(
                    .warn, table: table.name,
                    "these run for every rewrapped row: \(also.abridged())",
                    mend: "check that they are meant to; the value as stored is proven before each commit"))
        }
        return problems
    }
}
