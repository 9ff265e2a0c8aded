import Postgres
import TestSupport
import Testing

@testable import Catalog

/// Partition trees, inheritance, and what runs on their leaves.
@Suite(.needs(.postgres))
struct RelationTreeTests {
    private static let partitioned = [
        "CREATE TABLE root (id int, region text, a text, PRIMARY KEY (id, region)) PARTITION BY LIST (region)",
        // Attached with another column order and an index of another order.
        "CREATE TABLE eu (a text, region text NOT NULL, id int NOT NULL)",
        "ALTER TABLE root ATTACH PARTITION eu FOR VALUES IN ('eu')",
        "CREATE TABLE us PARTITION OF root FOR VALUES IN ('us') PARTITION BY RANGE (id)",
        "CREATE TABLE us_1 PARTITION OF us FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE us_2 PARTITION OF us FOR VALUES FROM (10) TO (20)",
    ]

    @Test func theLeavesOfTwoLevelsOfPartitionsAreFound() async throws {
        try await TestDatabase.withSchema { schema in
            for statement in Self.partitioned { try schema.run(statement) }
            let found = try schema.resolve("root", "a")
            #expect(found.problems.isEmpty)
            let table = try #require(found.tables.first)
            #expect(table.leaves.map(\.name) == ["eu", "us_1", "us_2"])
            #expect(table.leaves.allSatisfy { $0.rangeColumns.map(\.name) == ["id", "region"] })
            // A partition named by itself: locked with the tree it belongs to.
            let part = try #require(try schema.resolve("us", "a").tables.first)
            #expect(part.leaves.map(\.name) == ["us_1", "us_2"])
            #expect(part.lockOID == table.oid)
            #expect(try schema.resolve("us_1", "a").tables.first?.lockOID == table.oid)
        }
    }

    @Test func aTableAndItsPartitionAreNotTakenTwice() async throws {
        try await TestDatabase.withSchema { schema in
            for statement in Self.partitioned { try schema.run(statement) }
            let found = try schema.resolve([("us_1", nil, ["a"]), ("root", nil, ["a"])])
            #expect(found.tables.map(\.name) == ["us_1"])
            #expect(
                found.problems.map(\.message) == ["it has \"\(schema.name)\".\"us_1\" in common with us_1"])
        }
    }

    @Test func aForeignPartitionIsRefused() async throws {
        try await TestDatabase.withSchema { schema in
            schema.later("DROP FOREIGN DATA WRAPPER \(schema.name)_w CASCADE")
            try schema.run(
                "CREATE FOREIGN DATA WRAPPER \(schema.name)_w",
                "CREATE SERVER \(schema.name)_s FOREIGN DATA WRAPPER \(schema.name)_w",
                "CREATE TABLE root (id int NOT NULL, a text) PARTITION BY RANGE (id)",
                "CREATE FOREIGN TABLE far PARTITION OF root FOR VALUES FROM (0) TO (10) SERVER \(schema.name)_s"
            )
            let problems = try schema.resolve("root", id: ["id"], "a").problems
            #expect(
                problems.first?.message
                    == "its partition or child \"\(schema.name)\".\"far\" is a foreign table, "
                    + "whose rows cannot be locked and updated from here")
        }
    }

    @Test func aPartitionedRootNeedsTheIndexItself() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE root (id int NOT NULL, region text, a text) PARTITION BY LIST (region)",
                "CREATE TABLE eu PARTITION OF root FOR VALUES IN ('eu')", "CREATE UNIQUE INDEX ON eu (id)")
            let problems = try schema.resolve("root", id: ["id"], "a").problems
            #expect(problems.count == 1)
            #expect(problems[0].message.hasPrefix("\"\(schema.name)\".\"root\" has no valid"))
            // CONCURRENTLY is not possible there.
            #expect(problems[0].mend.hasPrefix("CREATE UNIQUE INDEX ON \"\(schema.name)\".\"root\" (\"id\")"))
        }
    }

    @Test func aPartitionBeingDetachedStillBelongs() async throws {
        try await TestDatabase.withSchema { schema in
            for statement in Self.partitioned { try schema.run(statement) }
            // DETACH … CONCURRENTLY commits the mark, then waits for those that use the table: interrupt it there.
            let settings = try TestDatabase.settings()
            let reader = try PostgresSession(connecting: settings)
            try reader.query("BEGIN")
            try reader.query("SELECT FROM \(schema.name).root")
            try schema.run("SET statement_timeout = '300ms'")
            #expect(throws: PostgresError.self) {
                try schema.run("ALTER TABLE root DETACH PARTITION eu CONCURRENTLY")
            }
            try schema.run("RESET statement_timeout")
            try reader.query("COMMIT")
            let found = try schema.resolve("root", "a")
            #expect(found.tables.first?.leaves.map(\.name) == ["eu", "us_1", "us_2"])
            #expect(found.problems.map(\.severity) == [.warn])
            #expect(found.problems[0].message.hasPrefix("\"\(schema.name)\".\"eu\" is being detached"))
            try schema.run("ALTER TABLE root DETACH PARTITION eu FINALIZE")
            #expect(try schema.resolve("root", "a").tables.first?.leaves.map(\.name) == ["us_1", "us_2"])
        }
    }

    @Test func inheritedChildrenNeedTheirOwnIndex() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE parent (id int PRIMARY KEY, a text)", "CREATE TABLE child () INHERITS (parent)",
                "CREATE TABLE grandchild () INHERITS (child)", "CREATE UNIQUE INDEX ON grandchild (id)")
            let problems = try schema.resolve("parent", "a").problems
            #expect(
                problems.map(\.message) == [
                    "its partition or child \"\(schema.name)\".\"child\" has no valid, non-partial unique index "
                        + "on exactly (id)"
                ])
            #expect(
                problems[0].mend
                    == "CREATE UNIQUE INDEX CONCURRENTLY ON \"\(schema.name)\".\"child\" (\"id\")")
            try schema.run("CREATE UNIQUE INDEX ON child (id)")
            // From version 18 on, an inherited NOT NULL cannot be dropped.
            if schema.session.serverVersion < 180_000 {
                try schema.run("ALTER TABLE ONLY child ALTER COLUMN id DROP NOT NULL")
                let nullable = try schema.resolve("parent", "a").problems
                let child = "\"\(schema.name)\".\"child\""
                #expect(
                    nullable.map(\.message) == [
                        "the id column may be NULL in its partition or child \(child)"
                    ])
                #expect(
                    nullable.map(\.mend) == ["ALTER TABLE \(child) ALTER COLUMN \"id\" SET NOT NULL"])
                try schema.run("ALTER TABLE child ALTER COLUMN id SET NOT NULL")
            }
            let table = try #require(try schema.resolve("parent", "a").tables.first)
            #expect(Set(table.leaves.map(\.name)) == ["parent", "child", "grandchild"])
            #expect(try schema.resolve("grandchild", id: ["id"], "a").tables.first?.lockOID == table.oid)
        }
    }

    @Test func aChildOfSeveralParentsIsTakenOnce() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE one (id int PRIMARY KEY, a text)",
                "CREATE TABLE two (id int PRIMARY KEY, a text)",
                "CREATE TABLE joint (PRIMARY KEY (id)) INHERITS (two, one)")
            let one = try #require(try schema.resolve("one", "a").tables.first)
            #expect(try schema.resolve("joint", "a").tables.first?.lockOID == one.oid)
            let found = try schema.resolve([("one", nil, ["a"]), ("two", nil, ["a"])])
            #expect(
                found.problems.map(\.message) == ["it has \"\(schema.name)\".\"joint\" in common with one"])
        }
    }

    @Test func whatRunsForAnUpdateOfALeafIsNamed() async throws {
        try await TestDatabase.withSchema { schema in
            for statement in Self.partitioned { try schema.run(statement) }
            try schema.run(
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                "CREATE TRIGGER everywhere BEFORE UPDATE ON root FOR EACH ROW EXECUTE FUNCTION f()",
                #"CREATE TRIGGER "Odd one" AFTER UPDATE OF a ON us_1 FOR EACH ROW EXECUTE FUNCTION f()"#,
                "CREATE TRIGGER elsewhere AFTER UPDATE OF region ON us_1 FOR EACH ROW EXECUTE FUNCTION f()",
                "CREATE TRIGGER inserts AFTER INSERT ON us_1 FOR EACH ROW EXECUTE FUNCTION f()",
                "CREATE TRIGGER statements AFTER UPDATE ON us_1 EXECUTE FUNCTION f()",
                "CREATE TRIGGER disabled AFTER UPDATE ON us_2 FOR EACH ROW EXECUTE FUNCTION f()",
                "ALTER TABLE us_2 DISABLE TRIGGER disabled",
                "CREATE TRIGGER always AFTER UPDATE ON us_2 FOR EACH ROW EXECUTE FUNCTION f()",
                "ALTER TABLE us_2 ENABLE ALWAYS TRIGGER always",
                "CREATE TRIGGER replicas AFTER UPDATE ON us_2 FOR EACH ROW EXECUTE FUNCTION f()",
                "ALTER TABLE us_2 ENABLE REPLICA TRIGGER replicas",
                "CREATE RULE note AS ON UPDATE TO eu DO ALSO NOTHING",
                // A foreign key's own triggers store nothing else.
                "CREATE TABLE other (id int, region text, FOREIGN KEY (id, region) REFERENCES root)")
            func hooks() throws -> [[String]] {
                try #require(try schema.resolve("root", "a").tables.first).leaves.map(\.updateHooks)
            }
            #expect(
                try hooks() == [
                    ["rule note", "trigger everywhere"], [#"trigger "Odd one""#, "trigger everywhere"],
                    ["trigger always", "trigger everywhere"],
                ])
            try schema.run("SET session_replication_role = replica")
            #expect(try hooks() == [[], [], ["trigger always", "trigger replicas"]])
            try schema.run("RESET session_replication_role")
        }
    }

    @Test func aGeneratedColumnMayWakeATrigger() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (id int PRIMARY KEY, a text, size int GENERATED ALWAYS AS (length(a)) STORED)",
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                "CREATE TRIGGER sizes BEFORE UPDATE OF size ON t FOR EACH ROW EXECUTE FUNCTION f()")
            #expect(try schema.resolve("t", "a").tables.first?.leaves.first?.updateHooks == ["trigger sizes"])
        }
    }
}
