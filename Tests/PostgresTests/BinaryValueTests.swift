import TestSupport
import Testing

@testable import Postgres

@Suite(.needs(.postgres))
struct BinaryValueTests {
    private func bytesOf(_ count: Int, _ seed: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 31) &+ seed) }
    }

    @Test func scalarsArriveAsTheyWereSent() async throws {
        try await TestDatabase.withSession { session in
            var parameters = QueryParameters()
            parameters.append(text: "")
            parameters.append(text: "é\u{1F511}")
            parameters.append(int8: .min)
            parameters.append(int4: -7)
            parameters.append(oid: .max)
            parameters.appendNull()
            let result = try session.query(
                "SELECT $1, $2, $3, $4, $5, $6, 5::smallint, true, NULL::bool", parameters)
            #expect(result.string(0, 0) == "")
            #expect(result.string(0, 1) == "é\u{1F511}")
            #expect(result.integer(0, 2) == .min)
            #expect(result.integer(0, 3) == -7)
            #expect(result.oid(0, 4) == .max)
            #expect(result.bytes(0, 5) == nil)
            #expect(result.integer(0, 6) == 5)
            #expect(result.bool(0, 7) == true)
            #expect(result.bool(0, 8) == nil)
            #expect(result.columnCount == 9)
            #expect(result.integer(0, 1) == nil)
        }
    }

    @Test func emptyParametersAreNoNULL() async throws {
        try await TestDatabase.withSession { session in
            var parameters = QueryParameters()
            parameters.append(text: "")
            parameters.append(texts: [])
            let result = try session.query("SELECT $1 IS NULL, $2 IS NULL, cardinality($2)", parameters)
            #expect(result.bool(0, 0) == false)
            #expect(result.bool(0, 1) == false)
            #expect(result.integer(0, 2) == 0)
        }
    }

    @Test func arraysKeepEmptyElementsAndNULLs() async throws {
        let elements: [[UInt8]?] = [[], nil, [0], bytesOf(100_000, 3), [0xff, 0x00], nil]
        try await TestDatabase.withSession { session in
            var array = BinaryArray(of: .bytea)
            for round in 0..<2 {  // the second round uses the buffer again
                array.removeAll()
                for element in elements {
                    if let element {
                        element.withUnsafeBytes { array.append($0) }
                    } else {
                        array.appendNull()
                    }
                }
                #expect(array.count == elements.count)
                var parameters = QueryParameters()
                parameters.append(int4: Int32(round))
                parameters.append(array: &array)
                let result = try session.query(
                    "SELECT value, position FROM unnest($2) WITH ORDINALITY AS u (value, position) WHERE $1 >= 0",
                    parameters)
                #expect(result.rowCount == elements.count)
                for row in 0..<result.rowCount {
                    #expect(result.bytes(row, 0).map(Array.init) == elements[row])
                    #expect(result.integer(row, 1) == row + 1)
                }
            }
            var visited: [[UInt8]?] = []
            array.forEachElement { index, bytes in
                #expect(index == visited.count)
                visited.append(bytes.map(Array.init))
            }
            #expect(visited == elements)
        }
    }

    @Test func aRefusedElementLeavesNothing() async throws {
        struct Refusal: Error {}
        var array = BinaryArray(of: .text)
        #expect(
            array.appendElement {
                $0.append(0x61); return true
            })
        #expect(
            !array.appendElement {
                $0.append(0x62); return false
            })
        #expect(throws: Refusal.self) {
            try array.appendElement { (bytes: inout [UInt8]) throws(Refusal) in
                bytes.append(0x63)
                throw Refusal()
            }
        }
        #expect(array.appendElement { _ in true })
        #expect(array.count == 2)
        let filled = array
        try await TestDatabase.withSession { session in
            var copy = filled
            var parameters = QueryParameters()
            parameters.append(array: &copy)
            let result = try session.query("SELECT array_to_string($1, ',')", parameters)
            #expect(result.string(0, 0) == "a,")
        }
    }

    @Test func arraysHaveTheTypeOfTheirElements() async throws {
        try await TestDatabase.withSession { session in
            for (type, name) in [
                (PostgresType.int8, "bigint"), (.int4, "integer"), (.oid, "oid"), (.json, "json"),
            ] {
                var array = BinaryArray(of: type)
                array.appendNull()
                var parameters = QueryParameters()
                parameters.append(array: &array)
                let result = try session.query("SELECT pg_typeof($1)::text", parameters)
                #expect(result.string(0, 0) == name + "[]")
            }
        }
    }

    @Test func aLargeResultArrivesWhole() async throws {
        try await TestDatabase.withSession { session in
            let result = try session.query(
                "SELECT repeat('x', 10000), i FROM generate_series(1, 1000) AS s (i)")
            #expect(result.rowCount == 1000)
            #expect((0..<1000).allSatisfy { result.bytes($0, 0)?.count == 10_000 })
            #expect(result.integer(999, 1) == 1000)
            #expect(try session.query("SELECT repeat('y', 10000000)").bytes(0, 0)?.count == 10_000_000)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func largeParametersAndLargeResultsDoNotBlockEachOther() async throws {
        // More than all buffers between the two hold, in both directions: the server stops reading while
        // its answer is not taken.
        let element = bytesOf(50_000, 9)
        try await TestDatabase.withSession { session in
            var array = BinaryArray(of: .bytea)
            for _ in 0..<200 { element.withUnsafeBytes { array.append($0) } }
            var parameters = QueryParameters()
            parameters.append(array: &array)
            for _ in 0..<4 { try session.send("SELECT unnest($1)", &parameters) }
            try session.submit()
            for _ in 0..<2 { try session.send("SELECT unnest($1)", &parameters) }
            try session.submit()
            for expected in [4, 2] {
                let results = try session.collect()
                #expect(results.count == expected)
                for result in results {
                    #expect(result.rowCount == 200)
                    #expect(result.bytes(199, 0).map(Array.init) == element)
                }
            }
        }
    }
}
