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
                let denying = try inspection.fences.first { fence in
                    try StoredName(fence.column) == StoredName(column.name)
                        && fence.denies(targetKeyID, column.type, session)
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

extension FenceInspection.Fence {
    /// Asks the constraint's own expression: a comment may have been changed, or lost.
    func denies(
        _ keyID: String, _ type: ColumnType, _ session: PostgresSession
    ) throws(PostgresError) -> Bool {
        let value = "{\"version\":1,\"alg\":\"AES-256-GCM\",\"key_id\":\"\(keyID)\",\"dek_wrapped\":\"\"}"
        let constant =
            switch type {
            case .bytea: FenceLiteral.bytes(value)
            case .text, .varchar: FenceLiteral.text(value) + "::text"
            case .json: FenceLiteral.text(value) + "::json"
            case .jsonb: FenceLiteral.text(value) + "::jsonb"
            }
        return try session.query(
            "SELECT (\(expression)) IS FALSE FROM (SELECT \(constant) AS \(SQLIdentifier.quoted(column))) AS v"
        ).bool(0, 0) ?? false
    }
}
