import Catalog
import Postgres

/// What the system catalogs say. Relations, columns and constraints are found by their numbers.
extension FenceInspection {
    static func name(
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

    static func takenNames(
        _ table: EncryptedTable, _ session: PostgresSession
    ) throws(PostgresError) -> Set<String> {
        var parameters = QueryParameters()
        parameters.append(oid: table.oid)
        let result = try session.query(
            """
            WITH RECURSIVE tree (oid) AS (
                SELECT $1 UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
            )
            SELECT DISTINCT c.conname FROM tree JOIN pg_catalog.pg_constraint c ON c.conrelid = tree.oid
            WHERE pg_catalog.starts_with(c.conname::text, '\(FenceName.constraintPrefix)')
            """, parameters)
        var names: Set<String> = []
        for row in 0..<result.rowCount { names.insert(try result.text(row, 0)) }
        return names
    }

    /// The column is the one that the constraint looks at, whatever it is called by now.
    static func fences(
        _ table: EncryptedTable, _ parameters: QueryParameters, _ session: PostgresSession
    ) throws -> [Fence] {
        let isEnforced = session.serverVersion >= 180_000 ? "c.conenforced" : "true"
        let result = try session.query(
            """
            SELECT c.conrelid, c.conname, a.attname, c.convalidated, c.conislocal, c.connoinherit, \(isEnforced),
                pg_catalog.cardinality(c.conkey) = 1 AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = c.oid
                        AND NOT (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                            AND d.refobjid = c.conrelid)),
                pg_catalog.pg_get_expr(c.conbin, c.conrelid),
                pg_catalog.obj_description(c.oid, 'pg_constraint')
            FROM pg_catalog.pg_constraint c
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
            WHERE c.conrelid = ANY ($1) AND c.contype = 'c'
                AND pg_catalog.starts_with(c.conname::text, '\(FenceName.constraintPrefix)')
            ORDER BY c.conrelid, a.attname, c.conname
            """, parameters)
        // Partitions hold the same expressions.
        var known: [FenceDefinition: FenceDefinition.Finding] = [:]
        var fences: [Fence] = []
        for row in 0..<result.rowCount {
            let name = try result.text(row, 1)
            let column = try result.text(row, 2)
            var finding = FenceDefinition.Finding()
            // What uses somebody's own functions is not asked at all: the planner may call them.
            let ownType = table.columns.first { StoredName($0.name) == StoredName(column) }?.type
            if let ownType, try result.flag(row, 7) {
                let definition = FenceDefinition(
                    column: column, type: ownType, expression: try result.text(row, 8))
                finding = try known[definition] ?? examine(definition, name, session)
                known[definition] = finding
            }
            let defect: FenceDefect? =
                if try !result.flag(row, 6) {
                    .notEnforced
                } else if try result.flag(row, 5) {
                    .notInherited
                } else if finding.refused.isEmpty {
                    .otherDefinition(letIn: finding.letIn)
                } else {
                    nil
                }
            fences.append(
                Fence(
                    relation: try result.objectID(row, 0), name: name, column: column,
                    isValidated: try result.flag(row, 3), isLocal: try result.flag(row, 4),
                    refused: defect == nil ? finding.refused : [],
                    denied: defect == .notEnforced ? [] : finding.denied,
                    defect: defect, mark: FenceMark(comment: result.string(row, 9))))
        }
        return fences
    }

    private static func examine(
        _ definition: FenceDefinition, _ name: String, _ session: PostgresSession
    ) throws -> FenceDefinition.Finding {
        do {
            return try definition.examine(session)
        } catch let error as PostgresError where error.sqlState?.needsOperator == false {
            throw PostgresError(
                .server,
                "the definition of constraint \(name) cannot be examined (\(error)); it is not one that "
                    + "`fence add` writes: drop it",
                sqlState: error.sqlState)
        }
    }

    /// Partitions have their trigger from the root; it goes with the root's.
    static func triggers(
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
