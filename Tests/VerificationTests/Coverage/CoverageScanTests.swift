import Catalog
import Postgres
import TestSupport
import Testing

@testable import Verification

@Suite(.needs(.postgres))
struct CoverageScanTests {
    /// Runs the statements in a new database, then looks outside the catalog.
    private func scan(
        _ statements: [String], catalog: [(String, [String])] = [], ignored: [String] = []
    ) async throws -> Coverage {
        let ignored = try ignored.map { try QualifiedColumn(parsing: $0) }
        return try await TestDatabase.withDatabase { session in
            for statement in statements { try session.query(statement) }
            let entries = try catalog.map { name, columns in try CatalogEntry(name, columns) }
            let introspection = try Introspection.resolve(entries, session: session)
            #expect(introspection.problems.filter { $0.severity == .refuse }.isEmpty)
            return try CoverageScan(introspection.tables, ignored: ignored, seed: 1).run(session)
        }
    }

    private static func literal(_ text: String) -> String { "E'" + text.replacing("\\", with: "\\\\") + "'" }

    @Test(arguments: [
        "bytea", "text", "varchar(5000)", "char(2000)", "json", "jsonb", "secret_text", "secret_bytes",
    ])
    func everyTypeIsLookedInto(_ type: String) async throws {
        let value = "convert_to(\(Self.literal(envelope())), 'UTF8')"
        let isBytes = type == "bytea" || type == "secret_bytes"
        let coverage = try await scan([
            "CREATE DOMAIN secret_text AS text", "CREATE DOMAIN secret_bytes AS bytea",
            "CREATE SCHEMA other", "CREATE TABLE other.t (id int PRIMARY KEY, note text, plain \(type))",
            "INSERT INTO other.t SELECT g FROM generate_series(1, 100) g",
            "INSERT INTO other.t VALUES (0, 'x', \(isBytes ? value : Self.literal(envelope()))::\(type))",
        ])
        let finding = try #require(coverage.findings.first)
        #expect(coverage.findings.count == 1)
        #expect(finding.place == "other.t.plain")
        #expect(finding.reason == .envelopes)
        #expect(finding.keyIDs == ["kek-v1"])
        #expect(coverage.problems == ["other.t.plain holds envelopes under kek-v1 and is in no catalog."])
    }

    @Test func anEnvelopeIsFoundInAnySpelling() async throws {
        let coverage = try await scan([
            "CREATE TABLE t (id int, a text, b bytea)",
            "INSERT INTO t (id, a) SELECT g, '\\u00e9' FROM generate_series(1, 1000) g",
            "INSERT INTO t VALUES (0, \(Self.literal(envelope("kek-v1", dek: #"\u0064ek_wrapped"#))), "
                + "convert_to(\(Self.literal(" \n" + envelope("kek-v0", dek: #"\u0064ek_wrapped"#))), 'UTF8'))",
            // Escapes that mean nothing crowd out no envelope.
            "INSERT INTO t (id, a) VALUES (0, \(Self.literal(envelope("kek-v2"))))",
        ])
        #expect(coverage.findings.map(\.column) == ["a", "b"])
        #expect(coverage.findings.map(\.reason) == [.envelopes, .envelopes])
        #expect(coverage.findings.first?.keyIDs.contains("kek-v2") == true)
        #expect(coverage.findings.last?.keyIDs == ["kek-v0"])
    }

    @Test func copiesAndAuditTrailsAreFound() async throws {
        let coverage = try await scan(
            [
                "CREATE TABLE source (id int PRIMARY KEY, secret bytea, words text)",
                "INSERT INTO source VALUES (1, convert_to(\(Self.literal(envelope())), 'UTF8'), \(Self.literal(envelope())))",
                "CREATE MATERIALIZED VIEW copy AS SELECT * FROM source",
                "CREATE MATERIALIZED VIEW void AS SELECT secret AS x_encrypted FROM source WITH NO DATA",
                "CREATE TABLE audit (at timestamptz, old_row jsonb, as_text text, words jsonb)",
                "INSERT INTO audit SELECT now(), to_jsonb(s) - 'words', s::text, to_jsonb(s) - 'secret' FROM source s",
            ], catalog: [("source", ["secret", "words"])])
        let reasons = Dictionary(uniqueKeysWithValues: coverage.findings.map { ($0.place, $0.reason) })
        #expect(
            reasons == [
                "public.copy.secret": .envelopes, "public.copy.words": .envelopes,
                "public.void.x_encrypted": .name, "public.audit.old_row": .embedded,
                "public.audit.as_text": .embedded, "public.audit.words": .embedded,
            ])
    }

    @Test func aPartitionGoesByItsRoot() async throws {
        let tree = [
            "CREATE TABLE t (id int, part int, secret text, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
            "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
            "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2) PARTITION BY LIST (part)",
            "CREATE TABLE t2a PARTITION OF t2 DEFAULT",
            "INSERT INTO t VALUES (1, 1, \(Self.literal(envelope("kek-v1")))), (2, 2, \(Self.literal(envelope("kek-v0"))))",
        ]
        let none = try await scan(tree)
        #expect(none.findings.map(\.place) == ["public.t.secret"])
        #expect(none.findings.first?.keyIDs == ["kek-v0", "kek-v1"])
        #expect(none.findings.first?.kind == .partitionedTable)
        #expect(try await scan(tree, catalog: [("t", ["secret"])]).findings.isEmpty)
        #expect(
            try await scan(tree, catalog: [("t1", ["secret"])]).findings.map(\.place) == ["public.t2a.secret"]
        )
        #expect(try await scan(tree, ignored: ["public.t.secret"]).findings.isEmpty)
        #expect(try await scan(tree, ignored: ["public.t1.secret"]).findings.first?.keyIDs == ["kek-v0"])
    }

    @Test func namesThatSayEncryptedAreFindings() async throws {
        let coverage = try await scan([
            "CREATE TABLE t (id int, a_encrypted text, \"B_ENCRYPTED\" bytea, is_encrypted boolean, encrypted_c text, d_encrypted text[])",
            "CREATE TABLE p (id int, a_encrypted text) PARTITION BY LIST (id)",
        ])
        #expect(
            coverage.findings.map(\.place) == [
                "public.p.a_encrypted", "public.t.B_ENCRYPTED", "public.t.a_encrypted",
                "public.t.d_encrypted",
            ])
        #expect(coverage.findings.allSatisfy { $0.reason == .name })
    }

    @Test func theEndsOfALargeTableAreRead() async throws {
        for id in [1, 200_000] {
            let coverage = try await scan([
                "CREATE TABLE t (id int PRIMARY KEY, note text, plain text)",
                "INSERT INTO t SELECT g, repeat('x', 50), CASE WHEN g = \(id) THEN \(Self.literal(envelope())) END FROM generate_series(1, 200000) g",
            ])
            #expect(coverage.findings.map(\.place) == ["public.t.plain"])
        }
    }

    @Test func aLargeTableIsSampled() async throws {
        let coverage = try await scan([
            "CREATE TABLE t (id int PRIMARY KEY, note text, plain text)",
            "INSERT INTO t SELECT g, repeat('x', 50), CASE WHEN g BETWEEN 50000 AND 150000 AND g % 10 = 0 THEN \(Self.literal(envelope())) END FROM generate_series(1, 200000) g",
        ])
        #expect(coverage.findings.map(\.place) == ["public.t.plain"])
    }

    @Test func whatMayNotBeReadIsAFinding() async throws {
        let coverage = try await TestDatabase.withDatabase { session in
            let role = "coverage_\(session.backendPID)"
            for statement in [
                "CREATE ROLE \(role)",
                "CREATE TABLE closed (id int, a text, b text, n int)",
                "CREATE TABLE partly (id int, a text, b text)",
                "CREATE TABLE policed (id int, a text)",
                "CREATE SCHEMA hidden", "CREATE TABLE hidden.t (a text)",
                "GRANT SELECT ON hidden.t, policed TO \(role)", "GRANT SELECT (a) ON partly TO \(role)",
                "ALTER TABLE policed ENABLE ROW LEVEL SECURITY", "SET ROLE \(role)",
            ] {
                try session.query(statement)
            }
            let coverage = try CoverageScan([], ignored: [], seed: 1).run(session)
            for statement in [
                "RESET ROLE", "SET default_transaction_read_only = off", "DROP OWNED BY \(role)",
                "DROP ROLE \(role)",
            ] {
                try session.query(statement)
            }
            return coverage
        }
        #expect(
            coverage.findings.map(\.place) == [
                "hidden.t.a", "public.closed.a", "public.closed.b", "public.partly.b", "public.policed.a",
            ])
        #expect(coverage.problems.count == 4)
        #expect(coverage.problems.contains { $0.hasPrefix("public.closed (a, b) could not be looked at") })
        #expect(coverage.problems.contains { $0.contains("row-level security") })
    }

    @Test func foreignTablesAreNamedAndNotRead() async throws {
        let coverage = try await scan([
            "CREATE FOREIGN DATA WRAPPER nothing", "CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing",
            "CREATE FOREIGN TABLE far (a_encrypted text) SERVER nowhere",
        ])
        #expect(coverage.findings.isEmpty)
        #expect(coverage.foreignTables == ["public.far"])
    }

    @Test func aTableThatTheCatalogKnowsInPartIsNotedInTheProposal() async throws {
        let coverage = try await scan(
            [
                "CREATE TABLE t (id int PRIMARY KEY, secret text, other text) PARTITION BY LIST (id)",
                "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
                "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)",
                "INSERT INTO t SELECT g, NULL, \(Self.literal(envelope())) FROM generate_series(1, 2) g",
            ], catalog: [("t", ["secret"])])
        #expect(coverage.findings.map(\.place) == ["public.t.other"])
        #expect(coverage.findings.first?.isTableInCatalog == true)
        #expect(CatalogProposal(coverage.findings, keys: [:]).yaml.contains("# the catalog has this table"))
    }

    @Test func columnsThatDifferInComposingAreTwo() async throws {
        let coverage = try await scan(
            [
                "CREATE TABLE t (id int PRIMARY KEY, \"\u{E9}\" text, \"e\u{301}\" text)",
                "INSERT INTO t VALUES (1, \(Self.literal(envelope())), \(Self.literal(envelope())))",
            ], ignored: ["public.t.\u{E9}"])
        #expect(coverage.findings.map { Array($0.column.utf8) } == [Array("e\u{301}".utf8)])
    }

    @Test func aProposalThatIsTakenLeavesNothing() async throws {
        try await TestDatabase.withDatabase { session in
            for statement in [
                #"CREATE SCHEMA "Odd Schema""#,
                #"CREATE TABLE "Odd Schema"."Ta""ble.x" ("my id" int, tenant int, "se cret" text, "no" bytea, PRIMARY KEY (tenant, "my id"))"#,
                #"INSERT INTO "Odd Schema"."Ta""ble.x" VALUES (1, 1, \#(Self.literal(envelope())), convert_to(\#(Self.literal(envelope())), 'UTF8'))"#,
                "CREATE TABLE plain (code text NOT NULL UNIQUE, x_encrypted text)",
            ] {
                try session.query(statement)
            }
            let coverage = try CoverageScan([], ignored: [], seed: 1).run(session)
            #expect(coverage.findings.count == 3)
            var keys: [CatalogProposal.Table: TableKey] = [:]
            for finding in coverage.findings {
                keys[.init(finding)] = try TableKey.best(ofTable: finding.table, in: finding.schema, session)
            }
            let file = try CatalogFile(
                yaml: CatalogProposal(coverage.findings, keys: keys).yaml, path: "proposal")
            #expect(file.entries.map(\.idColumns) == [["tenant", "my id"], ["code"]])
            let introspection = try Introspection.resolve(file.entries, session: session)
            #expect(introspection.problems.filter { $0.severity == .refuse }.isEmpty)
            #expect(try CoverageScan(introspection.tables, ignored: []).run(session).findings.isEmpty)
        }
    }
}
