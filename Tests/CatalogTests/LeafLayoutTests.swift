import Postgres
import TestSupport
import Testing

@testable import Catalog

@Suite(.needs(.postgres)) struct LeafLayoutTests {
    @Test func tellsSizeAndCorrelationOfTheLeadingColumn() async throws {
        try await TestDatabase.withSchema { schema in
            let name = schema.name
            try schema.run(
                "CREATE TABLE \(name).t (a int, b int, PRIMARY KEY (b, a))",
                "INSERT INTO \(name).t SELECT n, -n FROM generate_series(1, 20000) AS s (n)")
            let oid = try schema.session.query("SELECT '\(name).t'::regclass::oid").oid(0, 0) ?? 0
            func layout(by column: String) throws -> LeafLayout {
                let key = IDColumn(name: column, type: "integer", collation: nil)
                let leaf = Leaf(oid: oid, schema: name, name: "t", rangeColumns: [key], updateHooks: [])
                return try LeafLayout(of: leaf, schema.session)
            }
            #expect(try layout(by: "b").correlation == nil, "nothing has been analysed")
            try schema.run("ANALYZE \(name).t")
            let found = try layout(by: "b")
            #expect(found.correlation == -1 && found.isHeap && found.column == "b")
            #expect(found.blocks > 10 && found.bytes == found.blocks * 8_192 && found.sharedBuffers > 0)
            #expect(try layout(by: "a").correlation == 1)
        }
    }

    @Test func aLeafThatIsGoneHasNoBlocks() async throws {
        try await TestDatabase.withSchema { schema in
            let leaf = Leaf(oid: 1, schema: "s", name: "gone", rangeColumns: [], updateHooks: [])
            let found = try LeafLayout(of: leaf, schema.session)
            #expect(found.blocks == 0 && !found.isHeap && found.correlation == nil)
        }
    }
}
