import Foundation
import Postgres

@testable import Catalog

/// A private PostgreSQL for tests, reached as superuser. Each test works in a schema of its own name.
enum TestDatabase {
    static let url = ProcessInfo.processInfo.environment["REENCRYPT_TEST_DATABASE_URL"]
    static let isAvailable = url != nil
    static let skipMessage = "PostgreSQL is missing: REENCRYPT_TEST_DATABASE_URL names no server"

    /// - Parameter path: the role's own search_path in these sessions.
    static func settings(path: String? = nil) throws -> ConnectionSettings {
        let url = url.map { url in
            path.map { url + (url.contains("?") ? "&" : "?") + "options=-csearch_path%3D\($0)" } ?? url
        }
        return try ConnectionSettings(url: url, applicationName: "reencrypt-secrets CatalogTests")
    }

    /// Runs `body` with a session whose search_path is a new schema, dropped afterwards.
    static func withSchema(
        _ body: @escaping @Sendable (SchemaSession) throws -> Void
    ) async throws {
        let name = "t_" + randomName()
        let connection = PostgresConnection(try settings(path: name))
        try await connection.perform { session in
            let schema = SchemaSession(session, name: name)
            try session.query("CREATE SCHEMA \(name)")
            // What the test itself says means what it means to an application.
            try session.query("SET search_path = \(name)")
            defer { schema.cleanUp() }
            try body(schema)
        }
        await connection.close()
    }

    static let noICU = "this PostgreSQL is built without ICU"

    /// A build without ICU knows of `unicode` alone.
    static func hasICU() async throws -> Bool {
        guard isAvailable else { return false }
        return try await PostgresConnection(try settings()).perform { session in
            try session.query("SELECT count(*) > 1 FROM pg_collation WHERE collprovider = 'i'").flag(0, 0)
        }
    }

    static func randomName() -> String {
        String((0..<12).map { _ in "abcdefghijklmnopqrstuvwxyz".randomElement() ?? "a" })
    }
}

/// A session with its schema; `s.` in statements is written out as \(name).
final class SchemaSession {
    let session: PostgresSession
    let name: String
    private var cleanUps: [String]

    init(_ session: PostgresSession, name: String) {
        self.session = session
        self.name = name
        self.cleanUps = ["DROP SCHEMA \(name) CASCADE"]
    }

    func run(_ statements: String...) throws {
        for statement in statements { try session.query(statement) }
    }

    /// Runs at the end, before everything that was registered earlier.
    func later(_ statement: String) {
        cleanUps.insert(statement, at: 0)
    }

    /// A role of the schema's name that may use the schema; the session acts as it from here on.
    func becomeRole(granting statements: String...) throws {
        let role = "r_" + name
        try run("CREATE ROLE \(role)")
        later("DROP ROLE \(role)")
        later("DROP OWNED BY \(role)")
        try run("GRANT USAGE ON SCHEMA \(name) TO \(role)")
        for statement in statements { try session.query("\(statement) TO \(role)") }
        try run("SET ROLE \(role)")
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

    func resolve(
        _ table: String, id: [String]? = nil, _ columns: String...
    ) throws -> Introspection {
        try resolve([(table, id, columns)])
    }

    /// The same schema over another session, whose role has this search_path.
    func under(path: String) throws -> SchemaSession {
        let other = SchemaSession(
            try PostgresSession(connecting: try TestDatabase.settings(path: path)), name: name)
        other.cleanUps = []
        return other
    }

    func resolve(_ entries: [(String, [String]?, [String])]) throws -> Introspection {
        try Introspection.resolve(
            entries.map { name, id, columns in
                CatalogEntry(
                    name: name, tableName: try TableName(parsing: name), idColumns: id,
                    encryptedColumns: columns)
            }, session: session)
    }

    func preflight(
        _ table: EncryptedTable, forWriting: Bool = true, target: String = "kek-v2",
        others: [String] = ["kek-v1"]
    ) throws -> [CatalogProblem] {
        try Preflight.table(
            table, session: session, forWriting: forWriting, targetKeyID: target, otherKeyIDs: others)
    }
}

extension [CatalogProblem] {
    var refusals: [CatalogProblem] { filter { $0.severity == .refuse } }
    var warnings: [CatalogProblem] { filter { $0.severity == .warn } }
}
