import Postgres
import TestSupport
import Testing

@testable import Catalog

/// Which unique index a table is enumerated by, and what is none.
@Suite(.needs(.postgres))
struct KeyTests {
    @Test func aCompositeKeyMayHaveAnotherOrderThanItsIndex() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (tenant_id int, id uuid, region text, a text, "
                    + "PRIMARY KEY (region, id, tenant_id) INCLUDE (a))")
            let table = try #require(
                try schema.resolve("t", id: ["tenant_id", "id", "region"], "a").tables.first)
            #expect(table.idColumns.map(\.name) == ["tenant_id", "id", "region"])
            #expect(table.leaves.first?.rangeColumns.map(\.name) == ["region", "id", "tenant_id"])
            #expect(
                table.leaves.first?.rangeColumns.map(\.collation) == [#""pg_catalog"."default""#, nil, nil])
            // The default is the primary key in its own order.
            #expect(
                try schema.resolve("t", "a").tables.first?.idColumns.map(\.name) == [
                    "region", "id", "tenant_id",
                ])
        }
    }

    /// The index is under another collation than the column, and a comparison takes the name found.
    private static func collation(
        _ collation: String, _ schema: SchemaSession
    ) throws -> String? {
        try schema.run(
            #"CREATE TABLE t (id text COLLATE "POSIX" NOT NULL, a text)"#,
            "CREATE UNIQUE INDEX ON t (id COLLATE \(collation))")
        let id = try #require(try schema.resolve("t", id: ["id"], "a").tables.first?.idColumns.first)
        let name = try #require(id.collation)
        try schema.run("SELECT FROM ONLY t WHERE (id COLLATE \(name)) > ('a' COLLATE \(name))")
        return name
    }

    @Test func theIndexCollationCounts() async throws {
        try await TestDatabase.withSchema { schema in
            let found = try Self.collation(#""C""#, schema)
            #expect(found == #""pg_catalog"."C""#)
        }
    }

    @Test(.needsICU)
    func collationsOfICUCountToo() async throws {
        try await TestDatabase.withSchema { schema in
            let found = try Self.collation(#""en-US-x-icu""#, schema)
            #expect(found == #""pg_catalog"."en-US-x-icu""#)
        }
        try await TestDatabase.withSchema { schema in
            try schema.run(
                #"CREATE COLLATION "no.""case" (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"#
            )
            let found = try Self.collation(#""no.""case""#, schema)
            #expect(found == #""\#(schema.name)"."no.""case""#)
        }
    }

    @Test func theBestOfSeveralIndexesIsTaken() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (a text NOT NULL, b int NOT NULL, x text)",
                "CREATE UNIQUE INDEX pattern ON t (a text_pattern_ops, b)")
            let slow = try schema.resolve("t", id: ["a", "b"], "x")
            #expect(slow.tables.count == 1)
            #expect(slow.problems.map(\.severity) == [.warn])
            #expect(slow.problems[0].message.contains("does not follow the usual order"))
            #expect(
                slow.problems[0].mend
                    == "CREATE UNIQUE INDEX CONCURRENTLY ON \"\(schema.name)\".\"t\" (\"a\", \"b\")")
            try schema.run("CREATE UNIQUE INDEX mixed ON t (a, b DESC)")
            #expect(try schema.resolve("t", id: ["a", "b"], "x").problems.count == 1)
            try schema.run("CREATE UNIQUE INDEX reversed ON t (b DESC, a DESC)")
            let reversed = try schema.resolve("t", id: ["a", "b"], "x")
            #expect(reversed.problems.isEmpty)
            #expect(reversed.tables.first?.leaves.first?.rangeColumns.map(\.name) == ["b", "a"])
            try schema.run(#"CREATE UNIQUE INDEX straight ON t (a varchar_ops, b)"#)
            let straight = try schema.resolve("t", id: ["a", "b"], "x")
            #expect(straight.tables.first?.leaves.first?.rangeColumns.map(\.name) == ["a", "b"])
        }
    }

    @Test(arguments: [
        ("CREATE INDEX i ON t (id)", ""),
        ("CREATE UNIQUE INDEX i ON t (id) WHERE a <> ''", "; \"i\" is partial"),
        ("CREATE UNIQUE INDEX i ON t (id, a)", ""), ("CREATE UNIQUE INDEX i ON t ((id + 1))", ""),
        ("CREATE UNIQUE INDEX i ON t ((id))", "valid"),
    ])
    func indexesThatAreNoKey(statement: String, reason: String) async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run("CREATE TABLE t (id int NOT NULL, a text)", statement)
            let problems = try schema.resolve("t", id: ["id"], "a").problems
            if reason == "valid" {
                #expect(problems.isEmpty)  // the parentheses alone make no expression
                return
            }
            #expect(
                problems.map(\.message) == [
                    "\"\(schema.name)\".\"t\" has no valid, non-partial unique index on exactly (id)\(reason)"
                ])
            #expect(
                problems[0].mend == "CREATE UNIQUE INDEX CONCURRENTLY ON \"\(schema.name)\".\"t\" (\"id\"); "
                    + "or set id_column to a unique key")
        }
    }

    @Test func anInvalidIndexIsNoKey() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (id int NOT NULL, a text)", "INSERT INTO t VALUES (1, ''), (1, '')")
            #expect(throws: PostgresError.self) {
                try schema.run("CREATE UNIQUE INDEX CONCURRENTLY i ON t (id)")
            }
            let problems = try schema.resolve("t", id: ["id"], "a").problems
            #expect(problems.first?.message.hasSuffix("; \"i\" is invalid") == true)
        }
    }

    @Test func nullableKeysAndMissingPrimaryKeysAreRefused() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run("CREATE TABLE t (id int UNIQUE, code text NOT NULL UNIQUE, a text)")
            let nullable = try schema.resolve("t", id: ["id"], "a").problems
            #expect(nullable.map(\.message) == ["the id column may be NULL in \"\(schema.name)\".\"t\""])
            #expect(nullable[0].column == "id")
            #expect(
                nullable[0].mend == "ALTER TABLE \"\(schema.name)\".\"t\" ALTER COLUMN \"id\" SET NOT NULL")
            let keyless = try schema.resolve("t", "a").problems
            #expect(keyless.map(\.message) == ["it has no primary key, and no id_column is given"])
            #expect(keyless[0].mend == "set id_column to a unique key of NOT NULL columns: [id], [code]")
            try schema.run("CREATE TABLE bare (a text)")
            #expect(
                try schema.resolve("bare", "a").problems.map(\.mend) == [
                    "ALTER TABLE \"\(schema.name)\".\"bare\" ADD PRIMARY KEY (…)"
                ])
        }
    }
}
