import BatchQueue
import Testing

/// Waiting and failures of the in-memory queue; its counting is the ledger's.
@Suite struct InMemoryBatchQueueTests {
    @Test func aClaimWaitsForARangeAndEndsWithTheJob() async throws {
        let queue = InMemoryBatchQueue(failures: try FailureSpool())
        try await queue.beginSweep(oldRecords: 10)
        async let claimed = queue.claim()
        await queue.enqueue([.sample(records: 1)], cursor: .start)
        let lease = try #require(await claimed)
        async let none = queue.claim()
        await queue.finishEnumeration()
        _ = try await queue.acknowledge(lease, BatchResult(rewrapped: 1))
        await queue.waitUntilDrained()
        await queue.endJob()
        #expect(await none == nil)
    }

    @Test func aDelayedRangeWakesItsClaimer() async throws {
        let queue = InMemoryBatchQueue(failures: try FailureSpool())
        try await queue.beginSweep(oldRecords: 10)
        await queue.enqueue([.sample(records: 1)], cursor: .start)
        let lease = try #require(await queue.claim())
        _ = await queue.handBack(lease, after: .milliseconds(30), blockedSince: nil)
        let again = try #require(await queue.claim())
        #expect(again.sequence == lease.sequence)
        #expect(again.deliveries == 2)
    }

    @Test func cancellationEndsEveryWait() async throws {
        let queue = InMemoryBatchQueue(failures: try FailureSpool())
        try await queue.beginSweep(oldRecords: 10)
        await queue.enqueue([.sample(records: 1), .sample(records: 1)], cursor: .start)
        let room = Task { await queue.waitForRoom(below: 1) }
        let drained = Task { await queue.waitUntilDrained() }
        _ = await queue.claim()
        _ = await queue.claim()
        let claim = Task { await queue.claim() }
        for task in [room, drained] { task.cancel() }
        claim.cancel()
        await room.value
        await drained.value
        #expect(await claim.value == nil)
    }

    @Test func failuresAreKeptForTheSweepAndTold() async throws {
        let told = Told()
        let queue = InMemoryBatchQueue(failures: try FailureSpool()) { failure in told.append(failure) }
        try await queue.beginSweep(oldRecords: 10)
        await queue.enqueue([.sample(records: 2), .sample(records: 7)], cursor: .start)
        let first = try #require(await queue.claim())
        _ = try await queue.acknowledge(
            first, BatchResult(rewrapped: 0, failures: [.sample(1), .sample(2)]))
        let second = try #require(await queue.claim())
        _ = try await queue.bury(second, reason: "locked")
        let listed = Told()
        try await queue.forEachFailure { listed.append($0) }
        #expect(listed.failures == told.failures)
        #expect(listed.failures.count == 3)
        #expect(await queue.progress().recordsFailed == 9)
        try await queue.beginSweep(oldRecords: 10)
        let none = Told()
        try await queue.forEachFailure { none.append($0) }
        #expect(none.failures.isEmpty)
    }
}

private final class Told: @unchecked Sendable {
    // Written by the queue's actor alone, read after it has answered.
    private(set) var failures: [RecordFailure] = []

    func append(_ failure: RecordFailure) {
        failures.append(failure)
    }
}

extension EnumerationCursor {
    static let start = EnumerationCursor(leaf: 1, after: nil)
}
