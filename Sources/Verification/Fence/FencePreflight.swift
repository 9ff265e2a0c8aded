package import Catalog
package import Postgres

/// A rotation to a key that a fence refuses would fail row by row.
package enum FencePreflight {
    package static func problems(
        _ tables: [EncryptedTable], targetKeyID: String, session: PostgresSession
    ) throws -> [CatalogProblem] {
        var problems: [CatalogProblem] = []
        for table in tables {
            let inspection = try FenceInspection(table, session: session)
            for column in table.columns {
                // By the constraint's own expression: a comment may have been changed, or lost.
                let denying = inspection.fences.first { fence in
                    StoredName(fence.column) == StoredName(column.name) && fence.denied.contains(targetKeyID)
                }
                guard let denying else { continue }
                problems.append(
                    CatalogProblem(
                        .refuse, table: table.name, column: column.name,
                        "a fence refuses values under \(targetKeyID) (constraint \(denying.name))",
                        mend: "that key was retired; if it has to come back, as in a rollback, "
                            + "take the fence away: reencrypt-secrets fence drop"))
            }
        }
        return problems
    }
}
