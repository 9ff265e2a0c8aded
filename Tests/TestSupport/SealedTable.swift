package import Catalog
package import Envelope
package import Postgres

/// A table of sealed values, many to a block: `id bigint` from 1 on, `secret text`.
package struct SealedTable: Sendable {
    package let name: String
    package let settings: ConnectionSettings
    /// Of the session that made the table and drops it.
    package let connection: PostgresConnection
    package let entry: CatalogEntry

    /// Runs `body` with a table of that many rows.
    package static func with(
        rows: Int, under key: KeyEncryptionKey, _ body: (SealedTable) async throws -> Void
    ) async throws {
        let settings = try TestDatabase.settings()
        let name = "sealed_" + TestDatabase.randomName()
        let ring = try Keyring(primary: key)
        let values = try (0..<rows).map {
            String(decoding: try ring.seal("secret \($0)".utf8), as: UTF8.self)
        }
        let connection = PostgresConnection(settings)
        try await connection.perform { session in
            try session.query("SET search_path = public")
            try session.query("CREATE TABLE \(name) (id bigint PRIMARY KEY, secret text)")
            var parameters = QueryParameters()
            parameters.append(texts: values)
            try session.query(
                "INSERT INTO \(name) SELECT n, v FROM unnest($1) WITH ORDINALITY AS u(v, n)", parameters)
        }
        let table = SealedTable(
            name: name, settings: settings, connection: connection,
            entry: try CatalogEntry(name, ["secret"]))
        let result: Result<Void, any Error>
        do { result = .success(try await body(table)) } catch { result = .failure(error) }
        try await connection.perform { session in _ = try session.query("DROP TABLE \(name)") }
        await connection.close()
        try result.get()
    }
}
