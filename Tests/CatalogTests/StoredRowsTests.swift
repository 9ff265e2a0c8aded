import Postgres
import TestSupport
import Testing

@testable import Catalog

@Suite(.needs(.postgres))
struct StoredRowsTests {
    /// An extension that keeps rows elsewhere leaves an empty file; a heap cannot be made to.
    @Test func noBlockIsNoProofOfNoRow() async throws {
        try await TestDatabase.withSchema { schema in
            let session = schema.session
            try session.query("CREATE TABLE t (id int PRIMARY KEY, secret text)")
            let table = try session.resolve("t", ["secret"])
            let leaf = try #require(table.leaves.first)
            #expect(try StoredRows.rowsWithoutBlocks(leaf, of: table, blocks: 0, session: session) == nil)
            try session.query("INSERT INTO t VALUES (1, 'x')")
            #expect(try StoredRows.rowsWithoutBlocks(leaf, of: table, blocks: 1, session: session) == nil)
            let problem = try #require(
                try StoredRows.rowsWithoutBlocks(leaf, of: table, blocks: 0, session: session))
            #expect(problem.severity == .refuse)
            #expect(problem.message.contains("a relation whose rows are not stored in its own heap"))
            #expect(try StoredRows.problems(table, session: session).isEmpty)
        }
    }

    @Test func anotherAccessMethodIsNamed() async throws {
        try await TestDatabase.withSchema { schema in
            let session = schema.session
            let name = "elsewhere_\(UInt32.random(in: 0...UInt32.max))"
            try session.query("CREATE ACCESS METHOD \(name) TYPE TABLE HANDLER heap_tableam_handler")
            try session.query("CREATE TABLE t (id int PRIMARY KEY, secret text) USING \(name)")
            let problems = try StoredRows.problems(try session.resolve("t", ["secret"]), session: session)
            #expect(problems.count == 1)
            #expect(problems.first?.message.contains("its access method is \(name)") == true)
        }
    }
}
