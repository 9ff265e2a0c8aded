package import Catalog
package import Postgres

/// The fences that stand on a table and its partitions or children, as the system catalogs have them.
package struct FenceInspection: Sendable {
    package struct Fence: Sendable, Hashable {
        package let relation: UInt32
        package let name: String
        package let column: String
        package let isValidated: Bool
        /// Made on this relation itself, not only inherited.
        package let isLocal: Bool
        /// The expression over the column, as the server shows it.
        let expression: String
        /// nil where the comment is missing or changed; children carry none of their own.
        package let mark: FenceMark?
    }

    /// A log-only fence.
    package struct Trigger: Sendable, Hashable {
        package let relation: UInt32
        package let name: String
        /// The column it looks at.
        package let column: String
    }

    package let table: EncryptedTable
    let quotedSchema: String
    private let quotedName: String
    package var sqlName: String { quotedSchema + "." + quotedName }
    package let fences: [Fence]
    package let triggers: [Trigger]

    package init(_ table: EncryptedTable, session: PostgresSession) throws(PostgresError) {
        self.table = table
        var relations = BinaryArray(of: .oid)
        for oid in Set(table.leaves.map(\.oid) + [table.oid]).sorted() {
            withUnsafeBytes(of: oid.bigEndian) { relations.append($0) }
        }
        var parameters = QueryParameters()
        parameters.append(array: &relations)
        (quotedSchema, quotedName) = try Self.name(table, session)
        fences = try Self.fences(parameters, session)
        triggers = try Self.triggers(parameters, session)
    }

    /// Whether every value of every column is behind a validated fence, on each relation that stores rows.
    /// - Parameter retired: ids that each fence has to refuse.
    package static func isFenced(
        _ table: EncryptedTable, session: PostgresSession, retired: [String] = []
    ) throws -> Bool {
        let inspection = try FenceInspection(table, session: session)
        for column in table.columns {
            for leaf in table.leaves {
                let standing = inspection.fences.filter {
                    $0.relation == leaf.oid && StoredName($0.column) == StoredName(column.name)
                        && $0.isValidated
                }
                if standing.isEmpty { return false }
                for keyID in retired {
                    let denied = try standing.contains { fence in
                        try fence.denies(keyID, column.type, session)
                    }
                    if !denied { return false }
                }
            }
        }
        return true
    }

    /// The fences of a column on the table itself.
    package func fences(on column: EncryptedColumn) -> [Fence] {
        fences.filter { $0.relation == table.oid && StoredName($0.column) == StoredName(column.name) }
    }

    /// Relations that store rows and lack the fence, by their quoted names.
    package func leavesWithout(_ fence: Fence) -> [String] {
        table.leaves.filter { leaf in
            !fences.contains { $0.relation == leaf.oid && $0.name == fence.name }
        }.map(\.sqlName)
    }

    /// The constraint of each relation that stores rows has a state of its own.
    package func isValidatedBelow(_ fence: Fence) -> Bool {
        table.leaves.allSatisfy { leaf in
            fences.contains { $0.relation == leaf.oid && $0.name == fence.name && $0.isValidated }
        }
    }

    private static func name(
        _ table: EncryptedTable, _ session: PostgresSession
    ) throws(PostgresError) -> (schema: String, name: String) {
        var parameters = QueryParameters()
        parameters.append(oid: table.oid)
        let result = try session.query(
            """
            SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1
            """, parameters)
        guard result.rowCount == 1, let schema = result.string(0, 0), let name = result.string(0, 1) else {
            throw PostgresError(.unexpectedAnswer, "table \(table.name) is gone")
        }
        return (SQLIdentifier.quoted(schema), SQLIdentifier.quoted(name))
    }

    /// The column is the one that the constraint looks at, whatever it is called by now.
    private static func fences(
        _ parameters: QueryParameters, _ session: PostgresSession
    ) throws(PostgresError) -> [Fence] {
        let result = try session.query(
            """
            SELECT c.conrelid, c.conname, a.attname, c.convalidated, c.conislocal,
                pg_catalog.pg_get_expr(c.conbin, c.conrelid),
                pg_catalog.obj_description(c.oid, 'pg_constraint')
            FROM pg_catalog.pg_constraint c
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
            WHERE c.conrelid = ANY ($1) AND c.contype = 'c'
                AND pg_catalog.starts_with(c.conname::text, '\(FenceName.constraintPrefix)')
            ORDER BY c.conrelid, a.attname, c.conname
            """, parameters)
        var fences: [Fence] = []
        for row in 0..<result.rowCount {
            guard let relation = result.oid(row, 0), let name = result.string(row, 1),
                let column = result.string(row, 2), let expression = result.string(row, 5)
            else { throw PostgresError(.unexpectedAnswer, "a constraint without a name or an expression") }
            fences.append(
                Fence(
                    relation: relation, name: name, column: column,
                    isValidated: result.bool(row, 3) ?? false, isLocal: result.bool(row, 4) ?? false,
                    expression: expression, mark: FenceMark(comment: result.string(row, 6))))
        }
        return fences
    }

    /// Partitions have their trigger from the root; it goes with the root's.
    private static func triggers(
        _ parameters: QueryParameters, _ session: PostgresSession
    ) throws(PostgresError) -> [Trigger] {
        let result = try session.query(
            """
            SELECT t.tgrelid, t.tgname, pg_catalog.convert_from(
                pg_catalog.substr(t.tgargs, 1, pg_catalog.octet_length(t.tgargs) - 1),
                pg_catalog.getdatabaseencoding())
            FROM pg_catalog.pg_trigger t
            WHERE t.tgrelid = ANY ($1) AND t.tgparentid = 0 AND t.tgnargs = 1
                AND pg_catalog.starts_with(t.tgname::text, '\(FenceName.triggerPrefix)')
            ORDER BY t.tgrelid, t.tgname
            """, parameters)
        var triggers: [Trigger] = []
        for row in 0..<result.rowCount {
            guard let relation = result.oid(row, 0), let name = result.string(row, 1),
                let column = result.string(row, 2)
            else { throw PostgresError(.unexpectedAnswer, "a trigger without a name") }
            triggers.append(Trigger(relation: relation, name: name, column: column))
        }
        return triggers
    }
}
