import BatchQueue
import Redis
import TestSupport
import Testing

/// What only the queue on Redis has: leases that run out, forged messages, lost data, changing leaders.
@Suite(
    .needs(.redis),
    .timeLimit(.minutes(2)))
struct RedisBatchQueueTests {
    @Test func aReportAfterItsLeaseWasReapedCountsAndVoidsTheRedelivery() async throws {
        let queue = try await RedisQueueUnderTest.make()
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.coordinator.enqueue([.sample(records: 10), .sample(records: 1)], cursor: .start)
        let lease = try #require(try await queue.worker.claim())
        try await queue.expireLeases()
        _ = try await queue.coordinator.progress()  // reaps
        #expect(try await queue.coordinator.progress().batchesPending == 2)
        #expect(try await queue.worker.acknowledge(lease, BatchResult(rewrapped: 10)) == .counted)
        let progress = try await queue.coordinator.progress()
        #expect(progress.recordsRewrapped == 10 && progress.batchesDone == 1 && progress.batchesPending == 1)
        // The message is still in the list, and void.
        let next = try #require(try await queue.worker.claim())
        #expect(next.range.records == 1)
    }

    @Test func aReapedBatchComesAgainFirstAndItsSecondReportIsADuplicate() async throws {
        let queue = try await RedisQueueUnderTest.make()
        let other = RedisQueueUnderTest.worker(queue.connection, queue.name, queue.job)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.coordinator.enqueue([.sample(records: 10), .sample(records: 1)], cursor: .start)
        let lost = try #require(try await queue.worker.claim())
        try await queue.expireLeases()
        let again = try #require(try await other.claim())
        #expect(again.sequence == lost.sequence)
        #expect(again.deliveries == 2 && again.crashes == 1)
        #expect(try await other.acknowledge(again, BatchResult(rewrapped: 10)) == .counted)
        #expect(try await queue.worker.acknowledge(lost, BatchResult(rewrapped: 10)) == .duplicate)
        #expect(try await queue.coordinator.progress().recordsRewrapped == 10)
    }

    @Test(arguments: [
        #"{"by":"blocks"}"#, "not JSON", "{}", "[]", "7", #"{"sequence":1}"#,
        #"{"generation":"0","sequence":1,"table":"t"}"#,
        #"{"generation":"GENERATION","sequence":1,"table":"other","leaf":2,"first":["a"],"last":["z"],"n":1,"rows":1}"#,
        #"{"generation":"GENERATION","sequence":99,"table":"t"}"#, "LARGE",
    ])
    func aForgedMessageIsRefusedAndTheOthersGoOn(text: String) async throws {
        let queue = try await RedisQueueUnderTest.make()
        try await queue.coordinator.beginSweep(oldRecords: 10)
        let generation = try await queue.command("HGET", queue.name.key("state"), "generation").text()
        let message =
            text == "LARGE"
            ? String(repeating: "x", count: 10_000_000) : text.replacing("GENERATION", with: generation)
        _ = try await queue.command("RPUSH", queue.name.key("pending"), message)
        try await queue.coordinator.enqueue([.sample(records: 10)], cursor: .start)
        let lease = try #require(try await queue.worker.claim())
        #expect(lease.range == .sample(records: 10))
        #expect(await queue.worker.tally.refusedMessages == 1)
        #expect(try await queue.worker.acknowledge(lease, BatchResult(rewrapped: 10)) == .counted)
    }

    /// After a restart from an older snapshot another range may have the number, in the same generation.
    @Test func aReportCountsForTheMessageItNamesAlone() async throws {
        let queue = try await RedisQueueUnderTest.make()
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.coordinator.enqueue([.sample(records: 10)], cursor: .start)
        let lease = try #require(try await queue.worker.claim())
        let (batches, number) = (queue.name.key("batches"), "\(lease.sequence)")
        var fields = try await queue.command("HGET", batches, number).text().split(separator: "|")
        fields[4] = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        _ = try await queue.command("HSET", batches, number, fields.joined(separator: "|"))
        let before = try await queue.coordinator.progress()
        #expect(try await queue.worker.acknowledge(lease, BatchResult(rewrapped: 10)) == .stale)
        #expect(try await queue.coordinator.progress() == before)
    }

    @Test func anEmptiedRedisIsNoticedAndFilledAgain() async throws {
        let queue = try await RedisQueueUnderTest.make()
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.coordinator.enqueue([.sample(records: 10)], cursor: .start)
        let lease = try #require(try await queue.worker.claim())
        let started = try await queue.command("HGET", queue.name.key("progress"), "started_at").text()
        _ = try await queue.coordinator.progress()
        for key in try await queue.command("KEYS", queue.name.key("*")).elements() {
            _ = try await queue.command("DEL", try key.text())
        }
        await #expect(throws: GenerationLost.self) { try await queue.coordinator.progress() }
        try await queue.coordinator.redraw()
        #expect(try await queue.command("HGET", queue.name.key("progress"), "started_at").text() == started)
        #expect(try await queue.command("HGET", queue.name.key("progress"), "job").text() == queue.job)
        #expect(try await queue.coordinator.progress().recordsTotal == 0)
        #expect(try await queue.worker.acknowledge(lease, BatchResult(rewrapped: 10)) == .stale)
    }

    @Test func aQueueThatFellBackIsNoticed() async throws {
        let queue = try await RedisQueueUnderTest.make()
        try await queue.coordinator.beginSweep(oldRecords: 30)
        try await queue.coordinator.enqueue([.sample(records: 10)], cursor: .start)
        let (state, progress) = (queue.name.key("state"), queue.name.key("progress"))
        let earlier = try await queue.command("HGET", state, "next_sequence").text()
        try await queue.coordinator.enqueue([.sample(records: 20)], cursor: .start)
        _ = try await queue.coordinator.progress()
        _ = try await queue.command("HSET", state, "next_sequence", earlier)
        await #expect(throws: GenerationLost.self) { try await queue.coordinator.progress() }
        try await queue.coordinator.redraw()
        let lease: Lease?
        try await queue.coordinator.enqueue([.sample(records: 5)], cursor: .start)
        lease = try await queue.worker.claim()
        _ = try await queue.worker.acknowledge(try #require(lease), BatchResult(rewrapped: 5))
        _ = try await queue.coordinator.progress()
        _ = try await queue.command("HSET", progress, "batches_done", "0")
        await #expect(throws: GenerationLost.self) { try await queue.coordinator.progress() }
    }

    @Test(arguments: [BatchRange.Kind.ids, .blocks])
    func aPushWhoseAnswerWasLostIsNotMadeTwice(kind: BatchRange.Kind) async throws {
        let queue = try await RedisQueueUnderTest.make()
        try await queue.coordinator.beginSweep(oldRecords: 10)
        let cursor = EnumerationCursor(leaf: 7, kind: kind, after: ["b"])
        try await queue.coordinator.enqueue([.sample(records: 10)], cursor: cursor)
        // A second coordinator of the same job goes on where the push left off.
        let successor = RedisQueueUnderTest.coordinator(queue.connection, queue.name, queue.job)
        #expect(try await successor.open(seen: nil))
        #expect(await successor.cursor() == cursor)
        try await successor.enqueue([.sample(records: 5)], cursor: cursor)
        #expect(try await successor.progress().recordsTotal == 15)
        // The one that was taken over from has nothing to say any more.
        await #expect(throws: LeadershipTaken.self) {
            try await queue.coordinator.enqueue([.sample(records: 99)], cursor: cursor)
        }
        await #expect(throws: LeadershipTaken.self) { try await queue.coordinator.progress() }
        #expect(try await successor.progress().recordsTotal == 15)
    }

    @Test func pausedQueuesGiveNothingAndCancelledOnesEnd() async throws {
        let queue = try await RedisQueueUnderTest.make()
        let monitor = QueueMonitor(queue.connection, queue: queue.name)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.coordinator.enqueue([.sample(records: 10)], cursor: .start)
        #expect(try await monitor.give(.pause))
        let worker = queue.worker
        let claim = Task { try await worker.claim() }
        _ = try await queue.coordinator.progress()
        #expect(try await queue.coordinator.progress().batchesLeased == 0)
        #expect(try await monitor.give(.resume))
        #expect(try await claim.value != nil)
        #expect(try await monitor.give(.cancel))
        #expect(try await worker.claim() == nil)
        await #expect(throws: JobCancelled.self) { try await queue.coordinator.progress() }
        #expect(try await !monitor.give(.pause))
    }

    @Test func theReasonIsShownAndGoesWithTheJob() async throws {
        let queue = try await RedisQueueUnderTest.make()
        try await queue.coordinator.publish(ClaimPace(recordsPerSecond: 10, reason: "lag 3 s"))
        #expect(
            try await queue.command("HGET", queue.name.key("progress"), "throttled").text() == "lag 3 s")
        try await queue.coordinator.finish("incomplete", report: "{}")
        try await queue.coordinator.publish(ClaimPace(recordsPerSecond: 10, reason: "lag 3 s"))
        #expect(try await queue.command("HGET", queue.name.key("progress"), "throttled").text() == "")
    }

    @Test func failuresAreKeptAndHandedOutAgain() async throws {
        let queue = try await RedisQueueUnderTest.make()
        let monitor = QueueMonitor(queue.connection, queue: queue.name)
        try await queue.coordinator.beginSweep(oldRecords: 12)
        try await queue.coordinator.enqueue([.sample(records: 10), .sample(records: 2)], cursor: .start)
        let first = try #require(try await queue.worker.claim())
        var row = BatchRange.sample(records: 1)
        (row.first, row.last) = (["m"], ["m"])
        let failure = RecordFailure(
            table: "t", id: ["a\"b", "2"], column: "c", keyID: "kek-v1", reason: "does not open",
            range: row)
        // A second column of the same row.
        let sibling = RecordFailure(
            table: "t", id: ["a\"b", "2"], column: "d", keyID: nil, reason: "no envelope", range: row)
        _ = try await queue.worker.acknowledge(
            first, BatchResult(rewrapped: 8, failures: [failure, sibling]))
        let second = try #require(try await queue.worker.claim())
        _ = try await queue.worker.bury(second, reason: "locked")
        var listed: [QueueMonitor.StoredFailure] = []
        try await monitor.forEachFailure { listed.append($0) }
        #expect(listed.count == 3)
        #expect(
            listed.contains {
                $0.id == ["a\"b", "2"] && $0.reason == "does not open" && $0.keyID == "kek-v1"
            })
        #expect(try await monitor.retryFailures() == 4)
        let progress = try await queue.coordinator.progress()
        #expect(progress.recordsFailed == 0 && progress.batchesDead == 0)
        #expect(progress.recordsDone == 8 && progress.recordsTotal == 12)
        #expect(progress.batchesPending == 2)
        #expect(progress.batchesTotal == progress.batchesDone + progress.batchesOutstanding)
        for _ in 0..<2 {
            let lease = try #require(try await queue.worker.claim())
            _ = try await queue.worker.acknowledge(lease, BatchResult(rewrapped: lease.range.records))
        }
        #expect(try await queue.coordinator.progress().recordsRewrapped == 12)
    }
}
