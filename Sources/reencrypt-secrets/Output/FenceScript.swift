import Catalog
import Verification

/// What `--print-sql` prints: statements that psql takes as they are.
enum FenceScript {
    static func add(
        _ inspections: [FenceInspection], _ selection: FenceSelection, logOnly: Bool, _ lock: FenceLock
    ) -> String {
        head(selection, logOnly: logOnly) + path
            + inspections.map { inspection in
                let statements = FenceStatements(
                    inspection, target: selection.target, retired: selection.refused)
                return add(statements, inspection.table, logOnly: logOnly, lock)
            }.joined()
    }

    static func drop(_ inspections: [FenceInspection], _ lock: FenceLock) -> String {
        path
            + inspections.map { inspection in
                let statements = FenceStatements.drop(inspection)
                if statements.isEmpty { return "" }
                return text(lock.transaction(statements, ofSeveralRelations: inspection.table.isTree))
            }.joined()
    }

    /// An operator runs it under a path of his own, on which somebody else's functions and operators may stand before
    /// the server's.
    private static let path = "SET search_path = pg_catalog, pg_temp;\n"

    private static func head(_ selection: FenceSelection, logOnly: Bool) -> String {
        let ids = selection.refused.joined(separator: ", ")
        if logOnly { return "-- Names in the server's log who writes under \(ids). Refuses nobody.\n" }
        return """
            -- Refuses values under \(ids). The target is \(selection.target).
            -- Run it only where no old or failed record remains: `reencrypt-secrets verify`, before it and between
            -- its two parts. An UPDATE of any column of such a row would be refused.
            -- Where the lock is not to be had, the first part fails and nothing has changed: run it again.

            """
    }

    private static func add(
        _ statements: FenceStatements, _ table: EncryptedTable, logOnly: Bool, _ lock: FenceLock
    ) -> String {
        let several = table.isTree
        if logOnly {
            return text(lock.transaction(statements.addLogOnly, ofSeveralRelations: several))
        }
        let constraint = statements.add
        let superseded = statements.dropSuperseded
        return "-- \(table.name.filter { !$0.isNewline })\n"
            + (constraint.isEmpty
                ? "" : text(lock.transaction(constraint, ofSeveralRelations: several)))
            + text(statements.validate)
            + (superseded.isEmpty
                ? "" : text(lock.transaction(superseded, ofSeveralRelations: several)))
    }

    private static func text(_ statements: [String]) -> String {
        statements.map { $0 + ";\n" }.joined()
    }
}
