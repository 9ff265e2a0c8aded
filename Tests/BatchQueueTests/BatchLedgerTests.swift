import BatchQueue
import TestSupport
import Testing

/// The ledger's transitions, and its equations under random histories.
@Suite struct BatchLedgerTests {
    private let now = ContinuousClock.now

    private func claim(_ ledger: inout BatchLedger, at time: ContinuousClock.Instant) throws -> Lease {
        let lease = ledger.claim(now: time)
        return try #require(lease)
    }

    @Test func aBatchIsCountedOnceHoweverOftenItIsReported() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10)])
        let lease = try claim(&ledger, at: now)
        #expect(ledger.acknowledge(lease, BatchResult(rewrapped: 10), now: now, delay: .zero) == .counted)
        #expect(ledger.acknowledge(lease, BatchResult(rewrapped: 10), now: now, delay: .zero) == .duplicate)
        #expect(ledger.progress.recordsRewrapped == 10)
        #expect(ledger.progress.batchesDone == 1)
    }

    @Test func aReportOfAnEarlierGenerationChangesNothing() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10)])
        let lease = try claim(&ledger, at: now)
        ledger.beginSweep(generation: 2)
        ledger.enqueue([.sample(records: 10)])
        _ = ledger.claim(now: now)
        let before = ledger.progress
        #expect(ledger.acknowledge(lease, BatchResult(rewrapped: 10), now: now, delay: .zero) == .stale)
        #expect(ledger.bury(lease) == .stale)
        #expect(ledger.split(lease, into: []) == .stale)
        #expect(ledger.handBack(lease, blockedSince: nil, now: now, delay: .zero) == .stale)
        #expect(ledger.progress == before)
    }

    @Test func aReportThatNamesAnotherRangeIsRefused() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10)])
        let lease = try claim(&ledger, at: now)
        var range = lease.range
        range.last = ["another"]
        let forged = Lease(
            sequence: lease.sequence, generation: lease.generation, range: range, deliveries: 1)
        #expect(ledger.acknowledge(forged, BatchResult(rewrapped: 10), now: now, delay: .zero) == .duplicate)
        #expect(ledger.progress.recordsDone == 0)
    }

    @Test func whatWasNoLongerOldIsSuperseded() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10)])
        let lease = try claim(&ledger, at: now)
        let result = BatchResult(rewrapped: 6, failures: [.sample(1)])
        #expect(ledger.acknowledge(lease, result, now: now, delay: .zero) == .counted)
        #expect(ledger.progress.recordsSuperseded == 3)
        #expect(ledger.progress.recordsDone == 10)
        #expect(ledger.progress.recordsTotal == 10)
    }

    @Test func moreThanWasHandedOutRaisesTheTotal() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10)])
        let lease = try claim(&ledger, at: now)
        _ = ledger.acknowledge(lease, BatchResult(rewrapped: 13), now: now, delay: .zero)
        #expect(ledger.progress.recordsTotal == 13)
        #expect(ledger.progress.recordsDone == 13)
    }

    @Test func aRemainderBecomesADelayedBatchAndItsFailuresAreLeftToIt() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10)])
        let lease = try claim(&ledger, at: now)
        var remainder = lease.range
        remainder.records = 3
        let result = BatchResult(rewrapped: 5, failures: [.sample(1)], remainder: remainder)
        #expect(result.failures.isEmpty)
        _ = ledger.acknowledge(lease, result, now: now, delay: .seconds(1))
        #expect(ledger.progress.recordsSuperseded == 2)
        #expect(ledger.progress.recordsTotal == 10)
        #expect(ledger.progress.batchesDelayed == 1)
        #expect(ledger.claim(now: now) == nil)
        let again = try claim(&ledger, at: now.advanced(by: .seconds(1)))
        #expect(again.range.records == 3)
        #expect(again.sequence != lease.sequence)
    }

    @Test func aBatchHandedBackComesAgainWhenItIsDue() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10)])
        let lease = try claim(&ledger, at: now)
        _ = ledger.handBack(lease, blockedSince: 42, now: now, delay: .seconds(5))
        #expect(ledger.nextDue(after: now) == now.advanced(by: .seconds(5)))
        #expect(ledger.claim(now: now.advanced(by: .seconds(4))) == nil)
        let again = try claim(&ledger, at: now.advanced(by: .seconds(5)))
        #expect(again.deliveries == 2)
        #expect(again.range.blockedSince == 42)
    }

    @Test func aSplitReplacesTheWholeByItsParts() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10)])
        let lease = try claim(&ledger, at: now)
        _ = ledger.split(lease, into: [.sample(records: 4), .sample(records: 5)])
        #expect(ledger.progress.batchesTotal == 2)
        #expect(ledger.progress.batchesPending == 2)
        #expect(ledger.progress.recordsSuperseded == 1)
        #expect(ledger.progress.recordsTotal == 10)
    }

    @Test func aNewSweepTakesTheFailedRecordsOut() throws {
        var ledger = BatchLedger()
        ledger.beginSweep(generation: 1)
        ledger.enqueue([.sample(records: 10), .sample(records: 5)])
        let first = try claim(&ledger, at: now)
        _ = ledger.acknowledge(
            first, BatchResult(rewrapped: 8, failures: [.sample(1), .sample(2)]), now: now, delay: .zero)
        let second = try claim(&ledger, at: now)
        _ = ledger.bury(second)
        #expect(ledger.progress.recordsFailed == 7)
        #expect(ledger.progress.batchesDead == 1)
        ledger.finishEnumeration()
        #expect(ledger.isDrained)
        ledger.beginSweep(generation: 2)
        #expect(ledger.progress.recordsFailed == 0)
        #expect(ledger.progress.recordsTotal == 8)
        #expect(ledger.progress.recordsDone == 8)
        #expect(ledger.progress.batchesTotal == 1)
        #expect(!ledger.isDrained)
    }

    /// 200 random histories of 300 steps; the seed of a failing one is in its name.
    @Test(arguments: UInt64(1)...200) func equationsHoldAtEveryInstant(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var ledger = BatchLedger()
        var generation: UInt64 = 1
        var clock = now
        var leases: [Lease] = []
        var reported: [Lease] = []
        ledger.beginSweep(generation: generation)
        var lastTotal = 0
        var lastDone = 0
        for _ in 0..<300 {
            switch Int.random(in: 0..<9, using: &random) {
            case 0, 1:
                let count = Int.random(in: 1...5, using: &random)
                let ranges = (0..<count).map { _ in
                    BatchRange.sample(records: Int.random(in: 1...20, using: &random))
                }
                ledger.enqueue(ranges)
            case 2, 3, 4:
                clock = clock.advanced(by: .milliseconds(Int.random(in: 0...2_000, using: &random)))
                if let lease = ledger.claim(now: clock) { leases.append(lease) }
            case 5, 6:
                guard let lease = leases.popLast() else { continue }
                reported.append(lease)
                let rewrapped = Int.random(in: 0...25, using: &random)
                let failures = (0..<Int.random(in: 0...3, using: &random)).map { RecordFailure.sample($0) }
                var remainder: BatchRange?
                if Bool.random(using: &random) {
                    remainder = lease.range
                    remainder?.records = Int.random(in: 1...20, using: &random)
                }
                let result = BatchResult(rewrapped: rewrapped, failures: failures, remainder: remainder)
                _ = ledger.acknowledge(lease, result, now: clock, delay: .seconds(1))
            case 7:
                guard let lease = leases.popLast() else { continue }
                switch Int.random(in: 0..<3, using: &random) {
                case 0: _ = ledger.bury(lease)
                case 1: _ = ledger.split(lease, into: [.sample(records: 3), .sample(records: 9)])
                default: _ = ledger.handBack(lease, blockedSince: nil, now: clock, delay: .seconds(2))
                }
            default:
                if let duplicate = reported.randomElement(using: &random) {
                    let before = ledger.progress
                    _ = ledger.acknowledge(duplicate, BatchResult(rewrapped: 9), now: clock, delay: .zero)
                    #expect(ledger.progress == before)
                }
                if Int.random(in: 0..<40, using: &random) == 0 {
                    generation += 1
                    ledger.beginSweep(generation: generation)
                    (lastTotal, lastDone) = (0, 0)
                }
            }
            let progress = ledger.progress
            #expect(progress.recordsDone <= progress.recordsTotal)
            #expect(
                progress.batchesTotal == progress.batchesDone + progress.batchesPending
                    + progress.batchesLeased
                    + progress.batchesDelayed + progress.batchesDead)
            #expect(progress.recordsTotal >= lastTotal && progress.recordsDone >= lastDone)
            (lastTotal, lastDone) = (progress.recordsTotal, progress.recordsDone)
        }
    }
}

extension BatchRange {
    static func sample(records: Int) -> BatchRange {
        BatchRange(table: "t", leaf: 1, first: ["a"], last: ["z"], records: records, rows: records)
    }
}

extension RecordFailure {
    static func sample(_ number: Int) -> RecordFailure {
        RecordFailure(table: "t", id: ["\(number)"], column: "c", keyID: nil, reason: "r")
    }
}
