import Postgres
import TestSupport
import Testing

@testable import Catalog

@Suite(.needs(.postgres))
struct PreflightTests {
    private static func envelope(_ keyID: String, length: Int) -> String {
        let head = #"{"version":1,"alg":"AES-256-GCM","key_id":"\#(keyID)","x":""#
        return head + String(repeating: "x", count: length - head.count - 2) + "\"}"
    }

    @Test func anOrdinaryTableHasNoProblems() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a bytea)",
                "CREATE TABLE u (a text NOT NULL, id text GENERATED ALWAYS AS (md5('x')) STORED NOT NULL UNIQUE)"
            )
            let found = try schema.resolve([("t", nil, ["a"]), ("u", ["id"], ["a"])])
            #expect(found.problems.isEmpty)
            for table in found.tables { #expect(try schema.preflight(table).isEmpty) }
        }
    }

    @Test func privilegesAreAskedOfTheLeaves() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE root (id int PRIMARY KEY, a text, b text) PARTITION BY RANGE (id)",
                "CREATE TABLE p1 PARTITION OF root FOR VALUES FROM (0) TO (10)",
                "CREATE TABLE p2 PARTITION OF root FOR VALUES FROM (10) TO (20)")
            let table = try #require(try schema.resolve("root", "a", "b").tables.first)
            try schema.becomeRole(
                granting: "GRANT SELECT, UPDATE ON root", "GRANT SELECT, UPDATE (a) ON p1",
                "GRANT SELECT (id, a), UPDATE (a, b) ON p2")
            let role = "r_" + schema.name
            let (p1, p2) = ("\"\(schema.name)\".\"p1\"", "\"\(schema.name)\".\"p2\"")
            let problems = try schema.preflight(table)
            #expect(problems.allSatisfy { $0.severity == .refuse })
            #expect(
                problems.map(\.message) == [
                    "the role \(role) lacks SELECT on (b, ctid) of \(p2)",
                    "the role \(role) lacks UPDATE on (b) of \(p1)",
                ])
            #expect(
                problems.map(\.mend) == [
                    "GRANT SELECT (\"b\", \"ctid\") ON \(p2) TO \"\(role)\"",
                    "GRANT UPDATE (\"b\") ON \(p1) TO \"\(role)\"",
                ])
            // Dry run: a missing UPDATE is no refusal.
            #expect(try schema.preflight(table, forWriting: false).map(\.severity) == [.refuse, .warn])
            // The mends are what is needed.
            try schema.run("RESET ROLE")
            for problem in problems { try schema.run(problem.mend) }
            try schema.run("SET ROLE \(role)")
            #expect(try schema.preflight(table).isEmpty)
            // And the checks are right: this is what a worker sends.
            try schema.run(
                "SELECT ctid, id, a, b FROM ONLY p2 FOR NO KEY UPDATE", "UPDATE ONLY p2 SET a = a, b = b")
        }
    }

    @Test func columnGrantsNeedCtid() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run("CREATE TABLE t (id int PRIMARY KEY, a text, other text)")
            let table = try #require(try schema.resolve("t", "a").tables.first)
            try schema.becomeRole(granting: "GRANT SELECT (id, a), UPDATE (a) ON t")
            #expect(
                try schema.preflight(table).map(\.mend) == [
                    "GRANT SELECT (\"ctid\") ON \"\(schema.name)\".\"t\" TO \"r_\(schema.name)\""
                ])
            let error = #expect(throws: PostgresError.self) { try schema.run("SELECT ctid FROM t") }
            #expect(error?.sqlState == .insufficientPrivilege)
            try schema.run(
                "RESET ROLE", "GRANT SELECT (ctid) ON t TO r_\(schema.name)", "SET ROLE r_\(schema.name)")
            #expect(try schema.preflight(table).isEmpty)
            try schema.run("SELECT ctid, id, a FROM ONLY t FOR NO KEY UPDATE")
        }
    }

    @Test func usageOfTheSchemaIsNeeded() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
            try schema.becomeRole(granting: "GRANT SELECT, UPDATE ON t")
            let role = "r_" + schema.name
            try schema.run(
                "RESET ROLE", "REVOKE USAGE ON SCHEMA \(schema.name) FROM \(role)", "SET ROLE \(role)")
            let table = try #require(try schema.resolve("\(schema.name).t", "a").tables.first)
            #expect(
                try schema.preflight(table).map(\.message) == [
                    "the role \(role) lacks USAGE on the schema \"\(schema.name)\""
                ])
        }
    }

    @Test func rowLevelSecurityThatHidesRowsIsRefused() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (id int PRIMARY KEY, a text)", "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
                "CREATE POLICY own ON t USING (id = 1)")
            let table = try #require(try schema.resolve("t", "a").tables.first)
            #expect(try schema.preflight(table).isEmpty)  // as superuser
            try schema.becomeRole(granting: "GRANT SELECT, UPDATE ON t")
            for forWriting in [true, false] {
                let problems = try schema.preflight(table, forWriting: forWriting)
                #expect(problems.map(\.severity) == [.refuse])
                #expect(
                    problems.map(\.message) == [
                        "row-level security hides rows of \"\(schema.name)\".\"t\" from the role r_\(schema.name)"
                    ])
            }
            try schema.run("RESET ROLE", "ALTER ROLE r_\(schema.name) BYPASSRLS", "SET ROLE r_\(schema.name)")
            #expect(try schema.preflight(table).isEmpty)
        }
    }

    @Test func generatedColumnsAreRefused() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (id int PRIMARY KEY, s text, a text GENERATED ALWAYS AS (s || '') STORED)")
            let table = try #require(try schema.resolve("t", "a").tables.first)
            let problems = try schema.preflight(table)
            #expect(problems.map(\.message) == ["it is a generated column, which cannot be updated"])
            #expect(problems.map(\.column) == ["a"])
        }
    }

    @Test func tablesPublishedWithoutReplicaIdentityAreRefused() async throws {
        try await TestDatabase.withSchema { schema in
            let publication = "p_" + schema.name
            try schema.run(
                "CREATE TABLE root (id int NOT NULL, a text) PARTITION BY RANGE (id)",
                "CREATE TABLE p1 PARTITION OF root FOR VALUES FROM (0) TO (10)",
                "CREATE UNIQUE INDEX root_id ON root (id)")
            let table = try #require(try schema.resolve("root", id: ["id"], "a").tables.first)
            let refusal =
                "\"\(schema.name)\".\"p1\" is published for UPDATE (\(publication)) without a usable "
                + "replica identity: the server refuses every UPDATE (SQLSTATE 55000)"
            schema.later("DROP PUBLICATION IF EXISTS \(publication)")
            // The table's ancestor, its schema; all tables would reach into other tests.
            for target in ["TABLE root", "TABLE p1", "TABLES IN SCHEMA \(schema.name)"] {
                try schema.run("CREATE PUBLICATION \(publication) FOR \(target)")
                #expect(try schema.preflight(table).map(\.message) == [refusal])
                let error = #expect(throws: PostgresError.self) { try schema.run("UPDATE ONLY p1 SET a = a") }
                #expect(error?.sqlState == .objectNotInPrerequisiteState)
                try schema.run("ALTER PUBLICATION \(publication) SET (publish = 'insert, delete')")
                #expect(try schema.preflight(table).isEmpty)
                try schema.run("DROP PUBLICATION \(publication)")
            }
            try schema.run("CREATE PUBLICATION \(publication) FOR TABLE root")
            for (identity, refused) in [
                ("NOTHING", true), ("FULL", false), ("USING INDEX p1_id_idx", false), ("DEFAULT", true),
            ] {
                try schema.run("ALTER TABLE p1 REPLICA IDENTITY \(identity)")
                #expect(try schema.preflight(table).isEmpty != refused, "\(identity)")
            }
            #expect(try schema.preflight(table, forWriting: false).map(\.severity) == [.refuse])
            // A deferrable primary key is none for this purpose.
            try schema.run("ALTER TABLE p1 ADD PRIMARY KEY (id) DEFERRABLE")
            #expect(try schema.preflight(table).map(\.message) == [refusal])
            try schema.run("ALTER TABLE p1 DROP CONSTRAINT p1_pkey", "ALTER TABLE p1 ADD PRIMARY KEY (id)")
            #expect(try schema.preflight(table).isEmpty)
        }
    }

    @Test func theServersOwnRefusalOfAnUpdateIsShown() async throws {
        try await TestDatabase.withSchema { schema in
            let publication = "p_" + schema.name
            schema.later("DROP PUBLICATION IF EXISTS \(publication)")
            // The filter's column is no part of the replica identity.
            try schema.run(
                "CREATE TABLE t (id int PRIMARY KEY, a text, region text)",
                "CREATE PUBLICATION \(publication) FOR TABLE t WHERE (region = 'eu')")
            let table = try #require(try schema.resolve("t", "a").tables.first)
            let problems = try schema.preflight(table)
            #expect(problems.map(\.severity) == [.refuse])
            #expect(
                problems[0].message.hasPrefix("the server refuses an UPDATE of \"\(schema.name)\".\"t\": "))
            #expect(problems[0].message.contains("42P10"))
            #expect(try schema.preflight(table, forWriting: false).isEmpty)
        }
    }

    @Test func rulesAndTriggersOfAnUpdateAreNamed() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (id int PRIMARY KEY, a text)",
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                "CREATE TRIGGER audit AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
                "CREATE RULE also AS ON UPDATE TO t DO ALSO NOTHING")
            let table = try #require(try schema.resolve("t", "a").tables.first)
            let name = "\"\(schema.name)\".\"t\""
            let warnings = try schema.preflight(table)
            #expect(warnings.map(\.severity) == [.warn])
            #expect(
                warnings[0].message
                    == "these run for every rewrapped row: rule also of \(name), trigger audit of \(name)")
            try schema.run("CREATE RULE gone AS ON UPDATE TO t DO INSTEAD NOTHING")
            let refusals = try schema.preflight(table).refusals
            #expect(
                refusals.map(\.message) == [
                    "UPDATEs are rewritten by an INSTEAD rule and do not reach the rows: rule gone of \(name)"
                ])
            #expect(try schema.preflight(table, forWriting: false).refusals == refusals)
            try schema.run("ALTER TABLE t DISABLE RULE gone")
            #expect(try schema.preflight(table).refusals.isEmpty)
        }
    }

    @Test func aVarcharThatALongerKeyIDOverflowsIsRefused() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE TABLE t (key int PRIMARY KEY, id varchar(100))",
                "INSERT INTO t VALUES (1, '\(Self.envelope("kek-1", length: 99))'), "
                    + "(2, '\(Self.envelope("kek-22", length: 100))')")
            let table = try #require(try schema.resolve("t", "id").tables.first)
            // One more character than kek-1, as many as kek-22.
            #expect(try schema.preflight(table, target: "kek-10", others: ["kek-1", "kek-22"]).isEmpty)
            let problems = try schema.preflight(table, target: "kek-100", others: ["kek-1", "kek-22"])
            #expect(problems.map(\.severity) == [.refuse])
            #expect(
                problems.map(\.message) == [
                    "\"\(schema.name)\".\"t\": values would grow to 101 characters under the key id kek-100, "
                        + "and the column holds 100"
                ])
            #expect(
                problems[0].mend.hasPrefix(
                    "ALTER TABLE \"\(schema.name)\".\"t\" ALTER COLUMN \"id\" TYPE varchar(101)"))
            #expect(try schema.preflight(table, target: "kek-100", others: ["unused"]).isEmpty)
            #expect(try schema.preflight(table, target: "k", others: ["kek-1", "kek-22"]).isEmpty)
        }
    }

    @Test(.needsICU)
    func aVarcharUnderANondeterministicCollationIsMeasuredToo() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run(
                "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
                "CREATE TABLE t (id int PRIMARY KEY, a varchar(80) COLLATE ci)",
                "INSERT INTO t VALUES (1, '\(Self.envelope("kek-1", length: 80))')")
            let table = try #require(try schema.resolve("t", "a").tables.first)
            #expect(try schema.preflight(table, target: "kek-10", others: ["kek-1"]).refusals.count == 1)
        }
    }

    @Test func aLockedTableIsWaitedForThreeSecondsAndNamed() async throws {
        try await TestDatabase.withSchema { schema in
            try schema.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
            let table = try #require(try schema.resolve("t", "a").tables.first)
            let other = try PostgresSession(connecting: try TestDatabase.settings())
            try other.query("BEGIN")
            try other.query("LOCK TABLE \(schema.name).t IN SHARE MODE")
            let problems = try schema.preflight(table)
            #expect(problems.map(\.severity) == [.warn])
            #expect(problems[0].message == "\"\(schema.name)\".\"t\" is locked by another session")
            try other.query("ROLLBACK")
        }
    }
}
