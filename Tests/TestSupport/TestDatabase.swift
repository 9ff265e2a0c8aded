import Foundation
package import Postgres

/// The private PostgreSQL of `Service.postgres`. Each test works in a session, a schema or a database of its own.
package enum TestDatabase {
    package static let applicationName = "reencrypt-secrets tests"

    /// - Parameters:
    ///   - path: the role's own search_path in these sessions.
    ///   - database: another database than the address names.
    package static func settings(
        path: String? = nil, database: String? = nil
    ) throws -> ConnectionSettings {
        var url = Service.postgres.value
        if let database, var components = url.flatMap({ URLComponents(string: $0) }) {
            components.path = "/" + database
            url = components.string
        }
        if let path {
            url = url.map { $0 + ($0.contains("?") ? "&" : "?") + "options=-csearch_path%3D\(path)" }
        }
        return try ConnectionSettings(url: url, applicationName: applicationName)
    }

    /// Runs `body` with a session of its own, on a connection's thread as in the product.
    package static func withSession<R: Sendable>(
        answerTimeout: Duration = .seconds(90), _ body: @escaping @Sendable (PostgresSession) throws -> R
    ) async throws -> R {
        var settings = try settings()
        settings.answerTimeout = answerTimeout
        return try await PostgresConnection(settings).perform(body)
    }

    /// Runs `body` with a session whose search_path is a new schema, dropped afterwards.
    package static func withSchema(
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

    /// Runs `body` with a session in a new database, dropped afterwards: for what looks into every schema.
    package static func withDatabase<R: Sendable>(
        _ body: @escaping @Sendable (PostgresSession) throws -> R
    ) async throws -> R {
        let name = "d_" + randomName()
        let maintenance = PostgresConnection(try settings())
        try await maintenance.perform { _ = try $0.query("CREATE DATABASE \(name) TEMPLATE template0") }
        let connection = PostgresConnection(try settings(database: name))
        let result: Result<R, any Error>
        do {
            result = .success(
                try await connection.perform { session in
                    try session.query("SET search_path = public")
                    return try body(session)
                })
        } catch {
            result = .failure(error)
        }
        await connection.close()
        try await maintenance.perform { _ = try $0.query("DROP DATABASE \(name) WITH (FORCE)") }
        await maintenance.close()
        return try result.get()
    }

    /// Twelve letters, for what must not meet another test's.
    package static func randomName() -> String {
        String((0..<12).map { _ in "abcdefghijklmnopqrstuvwxyz".randomElement() ?? "a" })
    }
}

extension PostgresSession {
    /// The first cell as a number.
    package func number(_ sql: String, _ parameters: QueryParameters = QueryParameters()) throws -> Int? {
        try query(sql, parameters).integer(0, 0)
    }
}
