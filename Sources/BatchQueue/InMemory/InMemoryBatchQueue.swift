/// The queue of a single process. Its lanes share its fate, so a lease needs no expiry: a lane that fails
/// hands its batch back.
package actor InMemoryBatchQueue: BatchQueue, CoordinatorQueue {
    private var ledger = BatchLedger()
    private var failures: FailureSpool
    private var generations: UInt64 = 0
    private var hasEnded = false
    private var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    private var nextWaiter: UInt64 = 0
    private let clock = ContinuousClock()
    private let onFailure: @Sendable (RecordFailure) -> Void

    /// - Parameter onFailure: is told each failed record as it is counted.
    package init(
        failures: consuming FailureSpool, onFailure: @escaping @Sendable (RecordFailure) -> Void = { _ in }
    ) {
        self.failures = failures
        self.onFailure = onFailure
    }

    package func beginSweep(oldRecords: Int) throws {
        generations += 1
        try failures.removeAll()
        ledger.beginSweep(generation: generations)
        wakeAll()
    }

    /// Memory loses nothing.
    package func redraw() {}

    /// Coordinator and queue share a process: there is nothing to go on from.
    package func cursor() -> EnumerationCursor? { nil }

    package func enqueue(_ ranges: [BatchRange], cursor: EnumerationCursor) {
        ledger.enqueue(ranges)
        wakeAll()
    }

    package func finishEnumeration() {
        ledger.finishEnumeration()
        wakeAll()
    }

    package func claim() async -> Lease? {
        while !Task.isCancelled {
            if let lease = ledger.claim(now: clock.now) { return lease }
            if hasEnded { return nil }
            await waitForChange()
        }
        return nil
    }

    package func acknowledge(_ lease: Lease, _ result: BatchResult) throws -> AcknowledgeAnswer {
        let delay = Backoff.whileBlocked(since: result.remainder?.blockedSince)
        let answer = ledger.acknowledge(lease, result, now: clock.now, delay: delay)
        if answer == .counted { try record(result.failures) }
        wakeAll()
        return answer
    }

    package func handBack(_ lease: Lease, after delay: Duration, blockedSince: Int64?) -> AcknowledgeAnswer {
        let answer = ledger.handBack(lease, blockedSince: blockedSince, now: clock.now, delay: delay)
        wakeAll()
        return answer
    }

    package func split(_ lease: Lease, into parts: [BatchRange]) -> AcknowledgeAnswer {
        let answer = ledger.split(lease, into: parts)
        wakeAll()
        return answer
    }

    package func bury(_ lease: Lease, reason: String) throws -> AcknowledgeAnswer {
        let answer = ledger.bury(lease)
        if answer == .counted {
            try record([RecordFailure(buried: lease.range, reason: reason, canBeRetried: false)])
        }
        wakeAll()
        return answer
    }

    package func beginVerification() {}
    package func show(census: [(group: [String?], records: Int)]) {}
    package func publish(recordsPerSecond: Double?, remaining: Duration?) {}

    package func publish(_ pace: ClaimPace) {
        ledger.set(pace, now: clock.now)
        wakeAll()
    }

    package func rowsByLeaf() -> [UInt32: Int] { ledger.rowsByLeaf }

    /// No further sweep comes: every claim ends.
    package func endJob() {
        hasEnded = true
        wakeAll()
    }

    package func progress() -> JobProgress { ledger.progress }

    package func waitUntilDrained() async {
        while !Task.isCancelled && !ledger.isDrained { await waitForChange() }
    }

    package func waitForRoom(below limit: Int) async {
        while !Task.isCancelled && ledger.progress.batchesOutstanding >= limit { await waitForChange() }
    }

    /// Visits the failed records of the current sweep, in the order they were counted.
    package func forEachFailure(_ body: @Sendable (RecordFailure) throws -> Void) throws {
        try failures.forEach(body)
    }

    private func record(_ newFailures: [RecordFailure]) throws {
        for failure in newFailures {
            try failures.append(failure)
            onFailure(failure)
        }
    }

    // MARK: Waiting

    /// Returns at the next change, when a delayed batch becomes due, or when the task is cancelled.
    private func waitForChange() async {
        let number = nextWaiter
        nextWaiter += 1
        let alarm = ledger.nextDue(after: clock.now).map { due in
            Task {
                do {
                    try await self.clock.sleep(until: due)
                } catch {
                    return  // woken by something else first
                }
                self.wake(number)
            }
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume()
                } else {
                    waiters[number] = continuation
                }
            }
        } onCancel: {
            Task { await self.wake(number) }
        }
        alarm?.cancel()
    }

    private func wake(_ number: UInt64) {
        waiters.removeValue(forKey: number)?.resume()
    }

    private func wakeAll() {
        let woken = waiters
        waiters.removeAll(keepingCapacity: true)
        for continuation in woken.values { continuation.resume() }
    }
}
