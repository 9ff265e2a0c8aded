import BatchQueue
import Postgres
import TestSupport
import Testing

@Suite(
    "A lane that reads the next range ahead",
    .needs(.postgres))
struct ReadAheadTests {
    @Test func holdsTwoClaimsAtMost() async throws {
        try await RotatedTable.with(rows: 400) { table in
            let queue = ScriptedQueue(table.leases(40, of: 10))
            try await table.work(on: queue)
            #expect(await queue.mostInHand == 2)
            #expect(await queue.results.values.allSatisfy { $0.rewrapped == 10 })
            #expect(await queue.results.count == 40)
            #expect(try await table.currentRows() == 400)
        }
    }

    @Test func aRangeThatCannotBeOpenedTakesNothingFromTheOneBeforeIt() async throws {
        try await RotatedTable.with(rows: 50) { table in
            var leases = table.leases(5, of: 10)
            // Only a forged or damaged message can be like this: the server refuses the SELECT.
            leases[2] = table.lease(3, "no number", "no number", rows: 10)
            let queue = ScriptedQueue(leases)
            try await table.work(on: queue)
            for sequence in [1, 2, 4, 5] as [UInt64] {
                #expect(await queue.results[sequence]?.rewrapped == 10)
            }
            #expect(await queue.buried == [3])
            #expect(try await table.currentRows() == 40)
        }
    }

    @Test func aRangeThatFailsTakesNothingFromTheOneBehindIt() async throws {
        try await RotatedTable.with(rows: 50) { table in
            let name = table.name
            try await table.connection.perform { session in
                _ = try session.query(
                    "ALTER TABLE \(name) ADD CHECK (id <> 15 OR secret LIKE '%\"kek-v1\"%') NOT VALID")
            }
            let queue = ScriptedQueue(table.leases(5, of: 10))
            try await table.work(on: queue)
            for sequence in [1, 3, 4, 5] as [UInt64] {
                #expect(await queue.results[sequence]?.rewrapped == 10)
            }
            #expect(await queue.held.isEmpty)
            #expect(try await table.currentRows() == 40)
        }
    }

    @Test func givesBackWhatItClaimedWhenItEndsWithAnError() async throws {
        try await RotatedTable.with(rows: 50) { table in
            let queue = ScriptedQueue(table.leases(5, of: 10), failsFirstReport: true)
            await #expect(throws: ScriptedQueue.Fault.self) { try await table.work(on: queue) }
            #expect(await queue.returned == [2])
            #expect(await queue.held == [1])
        }
    }

    @Test func keepsARangeThatWorkersWereLostByAlone() async throws {
        try await RotatedTable.with(rows: 50) { table in
            let queue = ScriptedQueue(table.leases(5, of: 10, crashes: 1))
            try await table.work(on: queue)
            #expect(await queue.mostInHand == 1)
            #expect(await queue.results.count == 5)
        }
    }

    @Test func finishesWhatItReadAheadWhenItIsStopped() async throws {
        try await RotatedTable.with(rows: 2_000) { table in
            let queue = ScriptedQueue(table.leases(200, of: 10))
            let work = Task { try await table.work(on: queue) }
            while await queue.results.count < 20 { await Task.yield() }
            work.cancel()
            try await work.value
            #expect(await queue.held.isEmpty)
            #expect(await queue.results.count < 200)
            #expect(try await table.currentRows() == (await queue.results.count) * 10)
        }
    }
}
