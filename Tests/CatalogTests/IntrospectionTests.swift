import Postgres
import TestSupport
import Testing

@testable import Catalog

@Suite(.needs(.postgres))
struct IntrospectionTests {
    @Test func resolvesAPlainTable() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (id uuid PRIMARY KEY, a bytea, b varchar(400), c varchar, d jsonb)")
            let found = try schema.resolve("t", "a", "b", "c", "d")
            #expect(found.problems.isEmpty)
            let table = try #require(found.tables.first)
            #expect(table.name == "t")
            #expect(table.lockOID == table.oid)
            #expect(table.idColumns == [IDColumn(name: "id", type: "uuid", collation: nil)])
            #expect(
                table.columns.map(\.type) == [.bytea, .varchar(limit: 400), .varchar(limit: nil), .jsonb])
            let leaf = try #require(table.leaves.first)
            #expect(table.leaves.count == 1)
            #expect(leaf.oid == table.oid)
            #expect(leaf.sqlName == "\"\(schema.name)\".\"t\"")
            #expect(leaf.updateHooks.isEmpty)
        }
    }

    @Test func namesWithQuotesAndDotsAreResolved() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                #"CREATE TABLE "Ta""b.le" ("I""d" bigint PRIMARY KEY, "a.b" text)"#)
            let name = #""\#(schema.name)"."Ta""b.le""#
            let found = try schema.resolve(name, id: [#"I"d"#], "a.b")
            #expect(found.problems.isEmpty)
            #expect(found.tables.first?.name == name)
            #expect(found.tables.first?.leaves.first?.sqlName == name)
            #expect(found.tables.first?.idColumns.first?.name == #"I"d"#)
        }
    }

    @Test func aQuoteWithACombiningMark() async throws {
        try await TestDatabase.withSchema { schema in
            let name = "\"x\"\"\u{301}y\""
            try schema.run("CREATE TABLE \(name) (id int PRIMARY KEY, a text)")
            let table = try #require(try schema.resolve(name, "a").tables.first)
            #expect(try schema.preflight(table).isEmpty)
        }
    }

    @Test func unqualifiedNamesFollowTheSearchPath() async throws {
        try await TestDatabase.withSchema { schema in
            let second = schema.name + "_b"
            schema.later("DROP SCHEMA \(second) CASCADE")
            try schema.run(
                "CREATE SCHEMA \(second)", "CREATE TABLE \(second).t (id int PRIMARY KEY, a text)")
            let role = try schema.under(path: "\(schema.name),\(second)")
            #expect(try role.resolve("t", "a").tables.first?.leaves.first?.schema == second)
            try schema.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
            #expect(try role.resolve("t", "a").tables.first?.leaves.first?.schema == schema.name)
        }
    }

    @Test func unknownTablesNameWhatExists() async throws {
        try await TestDatabase.withSchema { schema in
            let unique = "x" + schema.name
            #expect(
                try schema.resolve("\(schema.name).\(unique)", "a").problems.first?.mend
                    == "the schema \(schema.name) holds no table; is this the right database?")
            try schema.run("CREATE TABLE \(unique) (id int)", "CREATE TABLE users (id int)")
            let missing = try schema.resolve("\(schema.name).\(unique.dropLast())", "a").problems
            #expect(missing.map(\.message) == ["there is no such table in the schema \(schema.name)"])
            #expect(missing[0].mend == "correct the name; existing tables: \(unique), users")
            let elsewhere = try schema.under(path: "pg_catalog").resolve(unique, "a").problems
            #expect(elsewhere[0].message == "there is no such table in the search_path")
            #expect(elsewhere[0].mend.contains("\(schema.name).\(unique)"))
            // 63 bytes are compared by the server's parser, all of them by us.
            try schema.run("CREATE TABLE \(schema.name).\(String(repeating: "x", count: 63)) (id int)")
            #expect(
                try schema.resolve("\(schema.name).\(String(repeating: "x", count: 64))", "a").tables.isEmpty)
        }
    }

    @Test func unknownColumnsAndTypesAreAllReported() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run("CREATE TABLE t (id date PRIMARY KEY, api_key int, \"secret\" text)")
            let problems = try schema.resolve("t", "api_key", "sekret", "id").problems
            #expect(problems.allSatisfy { $0.severity == .refuse && $0.table == "t" })
            #expect(
                problems.map { [$0.column ?? "", $0.message, $0.mend] } == [
                    [
                        "api_key", "its type integer cannot hold an envelope",
                        "supported are bytea, text, varchar, json and jsonb, and domains over them",
                    ],
                    [
                        "sekret", "there is no such column",
                        "correct the name; existing columns: secret, api_key, id",
                    ],
                    [
                        "id", "its type date cannot hold an envelope",
                        "supported are bytea, text, varchar, json and jsonb, and domains over them",
                    ],
                    [
                        "id", "it is an id column and an encrypted one",
                        "a row's id must not change: set id_column to another unique key",
                    ],
                    [
                        "id", "its type date is not supported for ids",
                        "supported are uuid, bigint, integer, smallint, text, varchar, timestamptz and numeric, "
                            + "and domains over them; set id_column to another unique key",
                    ],
                ])
            let unknownID = try schema.resolve("t", id: ["idd"], "secret").problems
            #expect(unknownID.map(\.column) == ["idd"])
        }
    }

    @Test(arguments: [
        ("uuid", "uuid"), ("bigint", "bigint"), ("int", "integer"), ("smallint", "smallint"),
        ("text", "text"),
        ("varchar(40)", "character varying"), ("timestamptz(3)", "timestamp with time zone"),
        ("numeric(20,4)", "numeric"), ("ids", "character varying"),
    ])
    func idTypes(type: String, name: String) async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE DOMAIN base_ids AS varchar(9)", "CREATE DOMAIN ids AS base_ids CHECK (VALUE <> '')",
                "CREATE TABLE t (id \(type) PRIMARY KEY, a json)")
            let found = try schema.resolve("t", "a")
            #expect(found.problems.isEmpty)
            #expect(found.tables.first?.idColumns.first?.type == name)
        }
    }

    @Test func domainsAreResolvedToTheirTypes() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE DOMAIN short AS varchar(300)", "CREATE DOMAIN secret AS short",
                "CREATE DOMAIN doc AS jsonb", "CREATE TABLE t (id int PRIMARY KEY, a secret, b doc)")
            #expect(
                try schema.resolve("t", "a", "b").tables.first?.columns.map(\.type) == [
                    .varchar(limit: 300), .jsonb,
                ])
        }
    }

    @Test func otherRelationsAreRefusedByName() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (id int PRIMARY KEY, a text)", "CREATE VIEW v AS SELECT * FROM t",
                "CREATE MATERIALIZED VIEW m AS SELECT * FROM t", "CREATE SEQUENCE s",
                "CREATE TYPE c AS (id int)", "CREATE TEMPORARY TABLE temporary (id int PRIMARY KEY, a text)",
                "CREATE FOREIGN DATA WRAPPER \(schema.name)_w",
                "CREATE SERVER \(schema.name)_s FOREIGN DATA WRAPPER \(schema.name)_w",
                "CREATE FOREIGN TABLE f (id int, a text) SERVER \(schema.name)_s")
            schema.later("DROP FOREIGN DATA WRAPPER \(schema.name)_w CASCADE")
            let reasons = [
                "v": "it is a view, which stores no rows of its own",
                "m": "it is a materialised view, a copy that cannot be updated",
                "s": "it is a sequence, which stores no rows of its own",
                "c": "it is a composite type, which stores no rows of its own",
                "t_pkey": "it is an index, which stores no rows of its own",
                "temporary": "it is a temporary table, which its own session alone can read",
                "f": "it is a foreign table: its rows are in another database",
                "pg_catalog.pg_proc": "it is a table of the system schema pg_catalog",
                "information_schema.sql_features": "it is a table of the system schema information_schema",
            ]
            for (name, reason) in reasons {
                let found = try schema.resolve(name, "a")
                #expect(found.tables.isEmpty)
                #expect(found.problems.map(\.message) == [reason])
                #expect(found.problems.first?.mend.isEmpty == false)
            }
        }
    }

    @Test func oneTableUnderTwoNames() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run("CREATE TABLE t (id int PRIMARY KEY, a text, b text)")
            let found = try schema.resolve([("t", nil, ["a"]), ("\(schema.name).t", nil, ["b"])])
            #expect(found.tables.map(\.name) == ["t"])
            #expect(found.problems.map(\.message) == ["it is the same table as t"])
        }
    }

    @Test func problemsOfAllTablesAreCollected() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE good (id int PRIMARY KEY, a text)",
                "CREATE TABLE bad (id int PRIMARY KEY, a int)")
            let found = try schema.resolve([
                ("missing", nil, ["a"]), ("bad", nil, ["a", "b"]), ("good", nil, ["a"]),
            ])
            #expect(found.tables.map(\.name) == ["good"])
            #expect(found.problems.map(\.table) == ["missing", "bad", "bad"])
        }
    }
}
