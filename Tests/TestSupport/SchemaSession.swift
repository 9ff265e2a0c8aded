package import Catalog
package import Postgres

/// A session with a schema of its own.
package final class SchemaSession {
    package let session: PostgresSession
    package let name: String
    private var cleanUps: [String]

    init(_ session: PostgresSession, name: String) {
        self.session = session
        self.name = name
        self.cleanUps = ["DROP SCHEMA \(name) CASCADE"]
    }

    package func run(_ statements: String...) throws {
        for statement in statements { try session.query(statement) }
    }

    /// Runs at the end, before everything that was registered earlier.
    package func later(_ statement: String) {
        cleanUps.insert(statement, at: 0)
    }

    /// A role of the schema's name that may use the schema; the session acts as it from here on.
    package func becomeRole(granting statements: String...) throws {
        let role = "r_" + name
        try run("CREATE ROLE \(role)")
        later("DROP ROLE \(role)")
        later("DROP OWNED BY \(role)")
        try run("GRANT USAGE ON SCHEMA \(name) TO \(role)")
        for statement in statements { try session.query("\(statement) TO \(role)") }
        try run("SET ROLE \(role)")
    }

    /// The same schema over another session, whose role has this search_path.
    package func under(path: String) throws -> SchemaSession {
        let other = SchemaSession(
            try PostgresSession(connecting: try TestDatabase.settings(path: path)), name: name)
        other.cleanUps = []
        return other
    }

    func cleanUp() {
        for statement in ["RESET ROLE"] + cleanUps {
            do {
                try session.query(statement)
            } catch {
                print("clean-up of \(name): \(statement): \(error)")
            }
        }
    }

    package func resolve(
        _ table: String, id: [String]? = nil, _ columns: String...
    ) throws -> Introspection {
        try resolve([(table, id, columns)])
    }

    package func resolve(_ entries: [(String, [String]?, [String])]) throws -> Introspection {
        try Introspection.resolve(
            entries.map { name, id, columns in try CatalogEntry(name, id: id, columns) }, session: session)
    }
}
