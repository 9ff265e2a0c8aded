import Catalog
import Postgres
import TestSupport
import Testing

@testable import Verification

/// What is said about fences that stand.
@Suite(.needs(.postgres)) struct FenceStateTests {
    /// A partitioned table of two encrypted columns.
    private func withTable(
        _ body: @escaping @Sendable (PostgresSession, EncryptedTable) throws -> Void
    ) async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run("CREATE TABLE t (id int PRIMARY KEY, a bytea, b jsonb) PARTITION BY RANGE (id)")
            for part in 0..<2 {
                try schema.run(
                    "CREATE TABLE p\(part) PARTITION OF t FOR VALUES FROM (\(part)0) TO (\(part + 1)0)")
            }
            try body(schema.session, try schema.session.resolve("\(schema.name).t", ["a", "b"]))
        }
    }

    @Test func aTableIsFencedOnceAllColumnsAreValidatedOnAllLeaves() async throws {
        try await withTable { session, table in
            func refused() throws -> Set<String> { try FenceProof.refusedKeyIDs(in: [table], session) }
            func statements() throws -> FenceStatements {
                FenceStatements(
                    try FenceInspection(table, session: session), target: "kek-v2", retired: ["kek-v1"])
            }
            #expect(try refused().isEmpty)
            for statement in try statements().add { try session.query(statement) }
            #expect(try statements().missing.isEmpty)
            #expect(try refused().isEmpty, "it is not validated")
            let validations = try statements().validate
            #expect(validations.count == 2)
            try session.query(validations[0])
            #expect(try refused().isEmpty, "one column of two")
            try session.query(validations[1])
            #expect(try refused() == ["kek-v1"])
            for statement in FenceStatements.drop(try FenceInspection(table, session: session)) {
                try session.query(statement)
            }
            #expect(try refused().isEmpty)
        }
    }

    @Test func aDeniedTargetIsAProblemOfItsColumn() async throws {
        try await withTable { session, table in
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
        try await withTable { session, table in
            let statements = FenceStatements(
                try FenceInspection(table, session: session), target: "kek-v2", retired: ["kek-v1"])
            for statement in statements.add { try session.query(statement) }
            let name = try FenceInspection(table, session: session).sqlName
            try session.query("ALTER TABLE \(name) RENAME COLUMN a TO \"the \"\"a\"")
            let renamed = try session.resolve(name, ["the \"a", "b"])
            #expect(
                try FencePreflight.problems([renamed], targetKeyID: "kek-v1", session: session).count == 2)
        }
    }
}
