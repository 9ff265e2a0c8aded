import Postgres

/// What the session's role may do with a table's leaves. Statements name the leaf, so privileges on the root
/// do not count.
struct TablePrivileges {
    private let table: EncryptedTable
    private let session: PostgresSession

    init(_ table: EncryptedTable, session: PostgresSession) {
        self.table = table
        self.session = session
    }

    func problems(forWriting: Bool) throws(PostgresError) -> [CatalogProblem] {
        let role = try session.query("SELECT current_user::text").text(0, 0)
        // ctid is a column like another in this respect: whole-table SELECT covers it, a grant by columns
        // has to name it.
        let readable = (table.idColumns.map(\.name) + table.columns.map(\.name) + ["ctid"])
        return try schemaUsage(role)
            + missing("SELECT", on: readable, role: role, severity: .refuse)
            + missing(
                "UPDATE", on: table.columns.map(\.name), role: role, severity: forWriting ? .refuse : .warn)
    }

    private func schemaUsage(_ role: String) throws(PostgresError) -> [CatalogProblem] {
        let result = try session.query(
            """
            SELECT DISTINCT n.nspname
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = ANY ($1) AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
            ORDER BY 1
            """, table.relationParameter())
        var problems: [CatalogProblem] = []
        for row in 0..<result.rowCount {
            let schema = SQLIdentifier.quoted(try result.text(row, 0))
            problems.append(
                CatalogProblem(
                    .refuse, table: table.name, "the role \(role) lacks USAGE on the schema \(schema)",
                    mend: "GRANT USAGE ON SCHEMA \(schema) TO \(SQLIdentifier.quoted(role))"))
        }
        return problems
    }

    /// One problem for all leaves that lack the privilege on the same columns.
    private func missing(
        _ privilege: String, on columns: [String], role: String, severity: CatalogProblem.Severity
    ) throws(PostgresError) -> [CatalogProblem] {
        var parameters = QueryParameters()
        parameters.append(oids: table.leaves.map(\.oid))
        parameters.append(texts: columns)
        parameters.append(text: privilege)
        let result = try session.query(
            """
            SELECT leaf.oid, wanted.name
            FROM pg_catalog.unnest($1) AS leaf (oid)
            CROSS JOIN pg_catalog.unnest($2) WITH ORDINALITY AS wanted (name, position)
            WHERE NOT pg_catalog.has_column_privilege(leaf.oid, wanted.name, $3)
            ORDER BY leaf.oid, wanted.position
            """, parameters)
        var lacking: [UInt32: [String]] = [:]
        for row in 0..<result.rowCount {
            lacking[try result.objectID(row, 0), default: []].append(try result.text(row, 1))
        }
        let groups = Dictionary(grouping: lacking.keys) { lacking[$0] ?? [] }
        return groups.sorted { $0.key.count > $1.key.count }.map { columns, leaves in
            let names = leaves.sorted().map(table.leafName)
            let list = columns.map(SQLIdentifier.quoted).joined(separator: ", ")
            return CatalogProblem(
                severity, table: table.name,
                "the role \(role) lacks \(privilege) on (\(columns.joined(separator: ", "))) "
                    + "of \(names.abridged())",
                mend: "GRANT \(privilege) (\(list)) ON \(names.prefix(5).joined(separator: ", "))"
                    + "\(names.count > 5 ? ", …" : "") TO \(SQLIdentifier.quoted(role))")
        }
    }
}
