import BatchQueue
import Redis
import TestSupport
import Testing

/// What holds of every queue, in memory or on Redis. One suite for both implementations.
/// A queue that loses a batch keeps a test waiting for it.
@Suite(.timeLimit(.minutes(2))) struct BatchQueueConformanceTests {
    @Test(arguments: QueueUnderTest.Kind.available) func countsEachBatchOnce(kind: QueueUnderTest.Kind)
        async throws
    {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 30)
        try await queue.enqueue([10, 20])
        let first = try #require(try await queue.worker.claim())
        let second = try #require(try await queue.worker.claim())
        #expect(first.range.records == 10 && second.range.records == 20)
        #expect(first.deliveries == 1 && first.crashes == 0)
        #expect(try await queue.worker.acknowledge(first, BatchResult(rewrapped: 10)) == .counted)
        #expect(try await queue.worker.acknowledge(first, BatchResult(rewrapped: 10)) == .duplicate)
        #expect(
            try await queue.worker.acknowledge(second, BatchResult(rewrapped: 12, failures: [.sample(1)]))
                == .counted)
        let progress = try await queue.coordinator.progress()
        #expect(progress.recordsRewrapped == 22)
        #expect(progress.recordsFailed == 1)
        #expect(progress.recordsSuperseded == 7)
        #expect(progress.recordsDone == 30 && progress.recordsTotal == 30)
        #expect(progress.batchesDone == 2 && progress.batchesOutstanding == 0)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func aSurplusRaisesTheTotal(kind: QueueUnderTest.Kind)
        async throws
    {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.enqueue([10])
        let lease = try #require(try await queue.worker.claim())
        _ = try await queue.worker.acknowledge(lease, BatchResult(rewrapped: 13))
        let progress = try await queue.coordinator.progress()
        #expect(progress.recordsTotal == 13 && progress.recordsDone == 13)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func aRangeByPlacesStaysOneOnAllItsWays(
        kind: QueueUnderTest.Kind
    ) async throws {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        let range = BatchRange(
            table: "t", leaf: 1, kind: .blocks, first: ["(0,0)"], last: ["(7,65535)"], records: 10, rows: 10)
        let cursor = EnumerationCursor(leaf: 1, kind: .blocks, after: ["(7,65535)"])
        try await queue.coordinator.enqueue([range], cursor: cursor)
        let lease = try #require(try await queue.worker.claim())
        #expect(lease.range == range)
        var half = range
        half.last = ["(3,12)"]
        #expect(try await queue.worker.split(lease, into: [half, range]) == .counted)
        var again = try #require(try await queue.worker.claim())
        #expect(again.range.kind == .blocks && again.range.first == ["(0,0)"])
        _ = try await queue.worker.handBack(again, after: .zero, blockedSince: 1_234)
        again = try #require(try await queue.worker.claim())
        #expect(again.range.kind == .blocks)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func handedBackComesAgainLater(kind: QueueUnderTest.Kind)
        async throws
    {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.enqueue([10])
        let lease = try #require(try await queue.worker.claim())
        #expect(
            try await queue.worker.handBack(lease, after: .milliseconds(500), blockedSince: 1_234) == .counted
        )
        #expect(try await queue.coordinator.progress().batchesDelayed == 1)
        #expect(try await queue.worker.acknowledge(lease, BatchResult(rewrapped: 1)) == .duplicate)
        let again = try #require(try await queue.worker.claim())
        #expect(again.sequence == lease.sequence)
        #expect(again.deliveries == 2)
        #expect(again.range.blockedSince == 1_234)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func aRemainderGoesOn(kind: QueueUnderTest.Kind)
        async throws
    {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.enqueue([10])
        let lease = try #require(try await queue.worker.claim())
        var remainder = lease.range
        remainder.records = 4
        _ = try await queue.worker.acknowledge(
            lease, BatchResult(rewrapped: 5, failures: [.sample(1)], remainder: remainder))
        var progress = try await queue.coordinator.progress()
        #expect(
            progress.recordsRewrapped == 5 && progress.recordsSuperseded == 1 && progress.recordsFailed == 0)
        #expect(progress.recordsTotal == 10)
        let rest = try #require(try await queue.worker.claim())
        #expect(rest.range.records == 4 && rest.sequence != lease.sequence)
        _ = try await queue.worker.acknowledge(rest, BatchResult(rewrapped: 4))
        progress = try await queue.coordinator.progress()
        #expect(progress.recordsDone == 10 && progress.batchesTotal == 2)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func partsReplaceTheWhole(kind: QueueUnderTest.Kind)
        async throws
    {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.enqueue([10])
        let lease = try #require(try await queue.worker.claim())
        #expect(
            try await queue.worker.split(lease, into: [.sample(records: 4), .sample(records: 5)]) == .counted)
        let progress = try await queue.coordinator.progress()
        #expect(progress.batchesTotal == 2 && progress.batchesPending == 2)
        #expect(progress.recordsSuperseded == 1 && progress.recordsTotal == 10)
        #expect(progress.splits == 1)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func buriedRecordsHaveFailed(kind: QueueUnderTest.Kind)
        async throws
    {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.enqueue([10])
        let lease = try #require(try await queue.worker.claim())
        #expect(try await queue.worker.bury(lease, reason: "locked") == .counted)
        let progress = try await queue.coordinator.progress()
        #expect(progress.batchesDead == 1 && progress.recordsFailed == 10 && progress.recordsDone == 10)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func aSweepBeginsWithoutWhatFailed(
        kind: QueueUnderTest.Kind
    ) async throws {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 15)
        try await queue.enqueue([10, 5])
        let first = try #require(try await queue.worker.claim())
        _ = try await queue.worker.acknowledge(
            first, BatchResult(rewrapped: 8, failures: [.sample(1), .sample(2)]))
        let second = try #require(try await queue.worker.claim())
        _ = try await queue.worker.bury(second, reason: "locked")
        try await queue.coordinator.finishEnumeration()
        try await queue.coordinator.waitUntilDrained()
        try await queue.coordinator.beginSweep(oldRecords: 7)
        let progress = try await queue.coordinator.progress()
        #expect(progress.recordsFailed == 0 && progress.batchesDead == 0)
        #expect(progress.recordsTotal == 8 && progress.recordsDone == 8)
        #expect(progress.batchesTotal == 1 && progress.batchesDone == 1)
        #expect(!progress.enumerationDone && progress.sweep == 2)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func anEarlierSweepsReportIsStale(
        kind: QueueUnderTest.Kind
    ) async throws {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.enqueue([10])
        let lease = try #require(try await queue.worker.claim())
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.enqueue([10])
        let before = try await queue.coordinator.progress()
        #expect(try await queue.worker.acknowledge(lease, BatchResult(rewrapped: 10)) == .stale)
        #expect(try await queue.coordinator.progress() == before)
    }

    @Test(arguments: QueueUnderTest.Kind.available) func whatBatchesCostAddsUp(kind: QueueUnderTest.Kind)
        async throws
    {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 10)
        try await queue.enqueue([10])
        let lease = try #require(try await queue.worker.claim())
        var result = BatchResult(rewrapped: 10)
        result.cost = BatchCost(rows: 10, bytes: 3_310, seconds: 0.25)
        _ = try await queue.worker.acknowledge(lease, result)
        #expect(try await queue.coordinator.progress().cost == result.cost)
        #expect(try await queue.coordinator.rowsByLeaf() == [1: 10])
    }

    @Test(arguments: QueueUnderTest.Kind.available, [0.0, 1])
    func thePaceKeepsClaimsBack(kind: QueueUnderTest.Kind, rate: Double) async throws {
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 20_000)
        try await queue.enqueue([10_000, 10_000])
        try await queue.coordinator.publish(ClaimPace(recordsPerSecond: rate, reason: "why"))
        // At a record a second the first range is free, the second due in hours.
        if rate > 0 { _ = try #require(try await queue.worker.claim()) }
        let worker = queue.worker
        let claim = Task { try await worker.claim() }
        for _ in 0..<50 {
            #expect(try await queue.coordinator.progress().batchesLeased == (rate > 0 ? 1 : 0))
        }
        try await queue.coordinator.publish(.free)
        #expect(try await claim.value != nil)
    }

    /// Random histories; the seed of a failing one is among the arguments.
    @Test(arguments: QueueUnderTest.Kind.available, UInt64(1)...8)
    func equationsHoldAtEveryInstant(kind: QueueUnderTest.Kind, seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let queue = try await QueueUnderTest.make(kind)
        try await queue.coordinator.beginSweep(oldRecords: 100)
        var leases: [Lease] = []
        var last = JobProgress()
        for _ in 0..<120 {
            switch Int.random(in: 0..<7, using: &random) {
            case 0, 1:
                try await queue.enqueue((0..<2).map { _ in Int.random(in: 1...20, using: &random) })
            case 2, 3:
                let progress = try await queue.coordinator.progress()
                if progress.batchesPending > 0, let lease = try await queue.worker.claim() {
                    leases.append(lease)
                }
            case 4, 5:
                guard let lease = leases.popLast() else { continue }
                let failures = (0..<Int.random(in: 0...2, using: &random)).map { RecordFailure.sample($0) }
                var remainder: BatchRange?
                if Bool.random(using: &random) {
                    remainder = lease.range
                    remainder?.records = Int.random(in: 1...20, using: &random)
                }
                let rewrapped = Int.random(in: 0...25, using: &random)
                _ = try await queue.worker.acknowledge(
                    lease, BatchResult(rewrapped: rewrapped, failures: failures, remainder: remainder))
            default:
                guard let lease = leases.popLast() else { continue }
                switch Int.random(in: 0..<3, using: &random) {
                case 0: _ = try await queue.worker.bury(lease, reason: "r")
                case 1:
                    _ = try await queue.worker.split(lease, into: [.sample(records: 3), .sample(records: 9)])
                default: _ = try await queue.worker.handBack(lease, after: .seconds(60), blockedSince: nil)
                }
            }
            let progress = try await queue.coordinator.progress()
            #expect(progress.recordsDone <= progress.recordsTotal)
            #expect(progress.recordsDone >= last.recordsDone && progress.recordsTotal >= last.recordsTotal)
            #expect(
                progress.batchesTotal == progress.batchesDone + progress.batchesOutstanding
                    + progress.batchesDead)
            last = progress
        }
    }
}
