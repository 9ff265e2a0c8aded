import Catalog
import Foundation
import Postgres
import Testing

@testable import Verification

/// What is said about fences that stand, on a server whose URL REENCRYPT_TEST_DATABASE_URL names.
@Suite(
    .enabled(if: FenceServer.url != nil, "PostgreSQL is missing: REENCRYPT_TEST_DATABASE_URL names no server")
)
struct FenceStateTests {
    @Test func aTableIsFencedOnceAllColumnsAreValidatedOnAllLeaves() async throws {
        try await FenceServer.withTable { session, table in
            func isFenced(_ retired: String...) throws -> Bool {
                try FenceInspection.isFenced(table, session: session, retired: retired)
            }
            func statements() throws -> FenceStatements {
                FenceStatements(
                    try FenceInspection(table, session: session), target: "kek-v2", retired: ["kek-v1"])
            }
            #expect(try !isFenced("kek-v1"))
            for statement in try statements().add { try session.query(statement) }
            #expect(try statements().missing.isEmpty)
            #expect(try !isFenced("kek-v1"), "it is not validated")
            let validations = try statements().validate
            #expect(validations.count == 2)
            try session.query(validations[0])
            #expect(try !isFenced("kek-v1"), "one column of two")
            try session.query(validations[1])
            #expect(try isFenced("kek-v1"))
            #expect(try !isFenced(), "no id is known")
            #expect(try !isFenced("kek-v1", "kek-v0"), "another id is not refused")
            for statement in FenceStatements.drop(try FenceInspection(table, session: session)) {
                try session.query(statement)
            }
            #expect(try !isFenced("kek-v1"))
        }
    }

    @Test func aDeniedTargetIsAProblemOfItsColumn() async throws {
        try await FenceServer.withTable { session, table in
            let statements = FenceStatements(
                try FenceInspection(table, session: session), target: "kek-v2", retired: ["kek-v1"])
            #expect(
                try FencePreflight.problems([table], targetKeyID: "kek-v1", session: session).isEmpty)
            for statement in statements.add { try session.query(statement) }
            let problems = try FencePreflight.problems([table], targetKeyID: "kek-v1", session: session)
            #expect(problems.map(\.column) == ["a", "b"])
            #expect(problems.allSatisfy { $0.severity == .refuse })
            for id in ["kek-v2", "kek-v3", "kek-v10"] {
                #expect(try FencePreflight.problems([table], targetKeyID: id, session: session).isEmpty)
            }
        }
    }

    @Test func aColumnThatIsRenamedKeepsItsFence() async throws {
        try await FenceServer.withTable { session, table in
            let statements = FenceStatements(
                try FenceInspection(table, session: session), target: "kek-v2", retired: ["kek-v1"])
            for statement in statements.add { try session.query(statement) }
            let name = try FenceInspection(table, session: session).sqlName
            try session.query("ALTER TABLE \(name) RENAME COLUMN a TO \"the \"\"a\"")
            let renamed = try FenceServer.resolve(name, ["the \"a", "b"], session)
            #expect(
                try FencePreflight.problems([renamed], targetKeyID: "kek-v1", session: session).count == 2)
        }
    }
}

private enum FenceServer {
    static let url = ProcessInfo.processInfo.environment["REENCRYPT_TEST_DATABASE_URL"]

    /// A partitioned table of two encrypted columns in a schema of its own.
    static func withTable(
        _ body: @escaping @Sendable (PostgresSession, EncryptedTable) throws -> Void
    ) async throws {
        let settings = try ConnectionSettings(url: url, applicationName: "reencrypt-secrets FenceTests")
        let connection = PostgresConnection(settings)
        try await connection.perform { session in
            let schema = "f_" + UUID().uuidString.prefix(8).lowercased()
            try session.query("CREATE SCHEMA \(schema)")
            defer {
                do {
                    try session.query("DROP SCHEMA \(schema) CASCADE")
                } catch {
                    Issue.record("clean-up of \(schema): \(error)")
                }
            }
            try session.query(
                "CREATE TABLE \(schema).t (id int PRIMARY KEY, a bytea, b jsonb) PARTITION BY RANGE (id)")
            for part in 0..<2 {
                try session.query(
                    "CREATE TABLE \(schema).p\(part) PARTITION OF \(schema).t FOR VALUES FROM (\(part)0) TO (\(part + 1)0)"
                )
            }
            try body(session, try resolve("\(schema).t", ["a", "b"], session))
        }
        await connection.close()
    }

    static func resolve(
        _ name: String, _ columns: [String], _ session: PostgresSession
    ) throws -> EncryptedTable {
        let entry = CatalogEntry(
            name: name, tableName: try TableName(parsing: name), idColumns: nil, encryptedColumns: columns)
        return try #require(try Introspection.resolve([entry], session: session).tables.first)
    }
}
