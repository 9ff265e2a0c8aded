package import Postgres

/// What would make a rotation fail, hang or pass rows over, asked before it begins. Runs outside of a
/// transaction, as the role and on the server that the workers will use.
package enum Preflight {
    /// A table that `Introspection` found no fault with.
    /// - Parameters:
    ///   - forWriting: false for a dry run, which needs no privilege to write and no primary.
    ///   - otherKeyIDs: the ids of the keys that values may be under at present.
    package static func table(
        _ table: EncryptedTable, session: PostgresSession, forWriting: Bool, targetKeyID: String,
        otherKeyIDs: [String]
    ) throws(PostgresError) -> [CatalogProblem] {
        var problems = try TablePrivileges(table, session: session).problems(forWriting: forWriting)
        problems += try rowSecurity(table, session: session)
        if !problems.contains(where: { $0.severity == .refuse }) {
            problems += try StoredRows.problems(table, session: session)
        }
        problems += try SubscriptionTargets.problems(table, severity: .warn, session: session)
        // A dry run answers what a run would do: where that is refused, so is the answer.
        problems += try UpdateObstacles(table, session: session, severity: .refuse).problems()
        // Reading the values takes the privilege to.
        if !problems.contains(where: { $0.severity == .refuse }) {
            problems += try VarcharRoom(
                table, targetKeyID: targetKeyID, otherKeyIDs: otherKeyIDs, severity: .refuse
            ).problems(session: session)
        }
        if forWriting, !problems.contains(where: { $0.severity == .refuse }) {
            problems += try trialUpdate(table, session: session)
        }
        return problems
    }

    /// For a verification, which changes nothing and whose verdict does not depend on whether anybody could.
    package static func reading(
        _ table: EncryptedTable, session: PostgresSession
    ) throws(PostgresError) -> [CatalogProblem] {
        let privileges = try TablePrivileges(table, session: session).problems(forWriting: false)
        let problems = try privileges.filter { $0.severity == .refuse } + rowSecurity(table, session: session)
        // Whether there are rows is for those to ask who may read them.
        return try problems.isEmpty ? StoredRows.problems(table, session: session) : problems
    }

    /// A policy would hide rows, and a census would call the table done.
    private static func rowSecurity(
        _ table: EncryptedTable, session: PostgresSession
    ) throws(PostgresError) -> [CatalogProblem] {
        let result = try session.query(
            """
            SELECT \(Relation.cells), current_user
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = ANY ($1) AND pg_catalog.row_security_active(c.oid)
            ORDER BY n.nspname, c.relname
            """, table.relationParameter())
        if result.rowCount == 0 { return [] }
        var names: [String] = []
        for row in 0..<result.rowCount { names.append(try Relation(result, row).sqlName) }
        let role = try result.text(0, 5)
        return [
            CatalogProblem(
                .refuse, table: table.name,
                "row-level security hides rows of \(names.abridged()) from the role \(role)",
                mend:
                    "connect as a role with BYPASSRLS (ALTER ROLE \(SQLIdentifier.quoted(role)) BYPASSRLS), "
                    + "or as the table's owner where FORCE ROW LEVEL SECURITY is off")
        ]
    }

    /// Lets the server itself check an UPDATE of every leaf: EXPLAIN starts the statement and runs none of
    /// it, so everything that does not depend on a row shows, whatever the checks above do not know of.
    private static func trialUpdate(
        _ table: EncryptedTable, session: PostgresSession
    ) throws(PostgresError) -> [CatalogProblem] {
        let assignments = table.columns.map(\.name).map(SQLIdentifier.quoted)
            .map { "\($0) = \($0)" }.joined(separator: ", ")
        for leaf in table.leaves {
            do {
                try session.transaction("BEGIN READ WRITE") { session in
                    try session.query("SET LOCAL row_security = off")
                    try session.query("SET LOCAL lock_timeout = '3s'")
                    // Planning may open the bodies of the application's functions.
                    try session.underRolePath {
                        try session.query("EXPLAIN UPDATE ONLY \(leaf.sqlName) SET \(assignments)")
                    }
                }
            } catch let error as PostgresError where error.code == .server && !error.breaksConnection {
                if error.sqlState == .lockNotAvailable {
                    return [
                        CatalogProblem(
                            .warn, table: table.name, "\(leaf.sqlName) is locked by another session",
                            mend: "find it in pg_locks; the rotation waits for it")
                    ]
                }
                return [
                    CatalogProblem(
                        .refuse, table: table.name,
                        "the server refuses an UPDATE of \(leaf.sqlName): \(error)",
                        mend: "mend what the server names; "
                            + "EXPLAIN UPDATE ONLY \(leaf.sqlName) SET \(assignments) shows it")
                ]
            } catch let error as PostgresError {
                throw error
            } catch {
                throw PostgresError(.unexpectedAnswer, "a trial UPDATE failed with \(error)")
            }
        }
        return []
    }
}

extension EncryptedTable {
    /// The table itself and its leaves, each once.
    var relationOIDs: [UInt32] { Set(leaves.map(\.oid) + [oid]).sorted() }

    func relationParameter() -> QueryParameters {
        var parameters = QueryParameters()
        parameters.append(oids: relationOIDs)
        return parameters
    }

    /// The quoted name of a leaf; only leaves are asked for.
    func leafName(_ oid: UInt32) -> String { leaves.first { $0.oid == oid }?.sqlName ?? "oid \(oid)" }
}
