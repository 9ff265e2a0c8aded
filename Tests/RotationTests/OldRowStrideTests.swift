import BatchQueue
import Envelope
import Postgres
import TestSupport
import Testing

@testable import Rotation

@Suite(
    "A page in strides",
    .needs(.postgres))
struct OldRowStrideTests {
    private func page(_ table: RotatedTable, rows: Int, stride: Int?) async throws -> OldRowPage? {
        let leaf = try #require(table.plan.leaf(table.lease(1, "1", "1", rows: 1).range.leaf, of: table.name))
        let target = KeyIDBytes(table.plan.keyring.primary.id)
        return try await table.connection.perform { session in
            guard let stride else {
                return try OldRowPage.read(
                    leaf, after: nil, rows: rows, rangeRows: 7, target: target, session)
            }
            return try OldRowPage.read(
                leaf, after: nil, rows: rows, stride: stride, target: target, session)
        }
    }

    @Test func givesEveryOldRowOnceWhereAllAreOld() async throws {
        try await RotatedTable.with(rows: 100) { table in
            let page = try #require(try await page(table, rows: 100, stride: 30))
            #expect(page.ranges.map(\.first) == [["1"], ["31"], ["61"], ["91"]])
            #expect(page.ranges.map(\.last) == [["30"], ["60"], ["90"], ["100"]])
            #expect(page.ranges.map(\.records) == [30, 30, 30, 10])
            #expect(page.next == ["100"])
        }
    }

    @Test func countsWhatTheServerCannotVouchFor() async throws {
        try await RotatedTable.with(rows: 100) { table in
            let (name, current) = (table.name, table.leases(1, of: 8))
            try await table.work(on: ScriptedQueue(current))
            try await table.connection.perform { session in
                try session.query("UPDATE \(name) SET secret = NULL WHERE id IN (9, 30, 31)")
                // The label is old, yet not at its usual place: parsed here.
                try session.query(
                    "UPDATE \(name) SET secret = replace(secret, ':1,', ' : 1,') WHERE id IN (20, 60)")
                // The other way about: current, and not seen from the prefix.
                _ = try session.query(
                    "UPDATE \(name) SET secret = replace(secret, ':1,', ' : 1,') WHERE id IN (4, 8)")
            }
            let expected = try #require(try await page(table, rows: 100, stride: nil))
            var ranges: [BatchRange] = []
            for stride in [1, 2, 10, 100, 33] {
                let page = try #require(try await page(table, rows: 100, stride: stride))
                ranges = page.ranges
                #expect(page.oldRows == expected.oldRows && page.oldRows == 89)
                #expect(ranges.reduce(0) { $0 + $1.records } == 89)
                #expect(ranges.allSatisfy { $0.rows <= stride })
            }
            let leases = ranges.enumerated().map { number, range in
                Lease(sequence: UInt64(number), generation: 1, range: range, deliveries: 1)
            }
            let queue = ScriptedQueue(leases)
            try await table.work(on: queue)
            #expect(await queue.results.values.reduce(0) { $0 + $1.rewrapped } == 89)
            #expect(await queue.results.values.allSatisfy { $0.remainder == nil })
        }
    }

    @Test func leavesAPageThatIsNotFullToTheOtherWay() async throws {
        try await RotatedTable.with(rows: 20) { table in
            let (partial, full) = (
                try await page(table, rows: 21, stride: 10), try await page(table, rows: 20, stride: 10)
            )
            #expect(partial == nil)
            #expect(full?.ranges.count == 2)
        }
    }
}
