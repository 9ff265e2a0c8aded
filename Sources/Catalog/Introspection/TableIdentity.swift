package import Postgres

/// What a name of the catalog led to at one moment, by the numbers that PostgreSQL gives to objects and never to others:
/// oids of relations, numbers of columns. Names are looked up again by each statement and may lead elsewhere meanwhile;
/// two identities are compared to find that out.
package struct TableIdentity: Sendable, Hashable {
    /// The catalog's name, and the columns that it names.
    package let tableName: TableName
    package let columnNames: [String]
    package let rootOID: UInt32
    /// The table itself and everything below it, by oid; parents that store nothing are among them.
    package let members: [Member]

    package struct Member: Sendable, Hashable {
        package let oid: UInt32
        package let schema: String
        package let name: String
        /// `pg_class.relkind` and `relpersistence`.
        package let kind: String
        /// For each of the catalog's columns its number and its type's oid; 0 where there is none.
        package let columns: String
        /// Oids of its parents, and whether it is being detached.
        package let parents: String
        /// Where its rows are stored: another number after each statement that writes all of them anew.
        package var fileNode: UInt32
        /// Its CHECK constraints, and whether each is validated.
        package var constraints: String

        /// For people.
        var plainName: String { schema + "." + name }
        package var sqlName: String { SQLIdentifier.quoted(schema) + "." + SQLIdentifier.quoted(name) }
    }

    /// The members that store rows.
    var leafOIDs: Set<UInt32> { Set(members.filter { !$0.kind.hasPrefix("p") }.map(\.oid)) }

    /// What stays when a table is rewritten or gets a constraint: a job goes on over that.
    package var objects: TableIdentity {
        var members = members
        for index in members.indices {
            members[index].fileNode = 0
            members[index].constraints = ""
        }
        return TableIdentity(
            tableName: tableName, columnNames: columnNames, rootOID: rootOID, members: members)
    }

    package init(tableName: TableName, columnNames: [String], rootOID: UInt32, members: [Member]) {
        self.tableName = tableName
        self.columnNames = columnNames
        self.rootOID = rootOID
        self.members = members
    }

    /// Looks the names up, in the session's snapshot where it has one.
    /// - Returns: nil where the table's name leads to nothing.
    package static func read(
        _ tableName: TableName, columns: [String], _ session: PostgresSession
    ) throws(PostgresError) -> TableIdentity? {
        guard let root = try TableLookup(tableName, session: session).relation() else { return nil }
        return TableIdentity(
            tableName: tableName, columnNames: columns, rootOID: root.oid,
            members: try members(below: root.oid, columns: columns, session))
    }

    /// Looks the same names up again.
    package func readAgain(_ session: PostgresSession) throws(PostgresError) -> TableIdentity? {
        try Self.read(tableName, columns: columnNames, session)
    }

    private static func members(
        below root: UInt32, columns: [String], _ session: PostgresSession
    ) throws(PostgresError) -> [Member] {
        var parameters = QueryParameters()
        parameters.append(oid: root)
        parameters.append(texts: columns)
        let result = try session.query(
            """
            WITH RECURSIVE tree (oid) AS (
                SELECT $1 UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
            )
            SELECT c.oid, n.nspname, c.relname, c.relkind::text || c.relpersistence::text, c.relfilenode,
                coalesce((SELECT pg_catalog.string_agg(coalesce(a.attnum, 0) || '/' || coalesce(a.atttypid, 0), ','
                        ORDER BY w.position)
                    FROM pg_catalog.unnest($2) WITH ORDINALITY AS w (name, position)
                    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = w.name
                        AND a.attnum > 0 AND NOT a.attisdropped), ''),
                coalesce((SELECT pg_catalog.string_agg(i.inhparent || '/' || i.inhdetachpending, ',' ORDER BY i.inhparent)
                    FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid AND c.oid <> $1), ''),
                coalesce((SELECT pg_catalog.string_agg(k.oid || '/' || k.convalidated, ',' ORDER BY k.oid)
                    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'), '')
            FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            ORDER BY c.oid
            """, parameters)
        return try (0..<result.rowCount).map { row throws(PostgresError) in
            Member(
                oid: try result.objectID(row, 0), schema: try result.text(row, 1),
                name: try result.text(row, 2), kind: try result.text(row, 3),
                columns: try result.text(row, 5), parents: try result.text(row, 6),
                fileNode: try result.objectID(row, 4), constraints: try result.text(row, 7))
        }
    }
}
