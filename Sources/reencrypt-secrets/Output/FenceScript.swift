import Catalog
import Verification

/// What `--print-sql` prints: statements that psql takes as they are.
enum FenceScript {
    static func head(target: String, retired: [String], logOnly: Bool) -> String {
        let ids = retired.joined(separator: ", ")
        if logOnly { return "-- Names in the server's log who writes under \(ids). Refuses nobody.\n" }
        return """
            -- Refuses values under \(ids). The target is \(target).
            -- Run it only where no old or failed record remains: `reencrypt-secrets verify`, before it and between
            -- its two parts. An UPDATE of any column of such a row would be refused.
            -- Where the lock is not to be had, the first part fails and nothing has changed: run it again.

            """
    }

    static func add(
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

    static func drop(_ inspection: FenceInspection, _ lock: FenceLock) -> String {
        let statements = FenceStatements.drop(inspection)
        if statements.isEmpty { return "" }
        return text(lock.transaction(statements, ofSeveralRelations: inspection.table.isTree))
    }

    private static func text(_ statements: [String]) -> String {
        statements.map { $0 + ";\n" }.joined()
    }
}
