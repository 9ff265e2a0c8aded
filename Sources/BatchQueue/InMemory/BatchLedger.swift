import DequeModule

/// The state of a queue as a value: which batch is where, and what has been counted. Without I/O, clock or
/// waiting, so that every transition can be tested by itself.
package struct BatchLedger: Sendable {
    package private(set) var progress = JobProgress()
    private var generation: UInt64 = 0
    private var nextSequence: UInt64 = 0
    private var pending: Deque<Entry> = []
    private var delayed: [Delayed] = []
    private var leased: [UInt64: Entry] = [:]
    private var meter = ClaimMeter()
    /// Rows rewritten so far, by the oid of their leaf.
    package private(set) var rowsByLeaf: [UInt32: Int] = [:]

    private struct Entry: Sendable {
        let sequence: UInt64
        let range: BatchRange
        var deliveries: Int
    }

    private struct Delayed: Sendable {
        let due: ContinuousClock.Instant
        var entry: Entry
    }

    package init() {}

    package var isDrained: Bool { progress.enumerationDone && progress.batchesOutstanding == 0 }

    /// When the next change comes by itself: a delayed batch is due, or the pace allows another claim.
    package func nextDue(after now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        let nextClaim = pending.isEmpty ? nil : meter.nextDue(after: now)
        return (delayed.map(\.due).filter { $0 > now } + (nextClaim.map { [$0] } ?? [])).min()
    }

    package mutating func set(_ pace: ClaimPace, now: ContinuousClock.Instant) {
        meter.set(pace, now: now)
    }

    /// - Parameter generation: another one than any before.
    package mutating func beginSweep(generation: UInt64) {
        self.generation = generation
        pending.removeAll()
        delayed.removeAll()
        leased.removeAll()
        progress.sweep += 1
        progress.recordsFailed = 0
        progress.recordsTotal = progress.recordsDone
        progress.batchesTotal = progress.batchesDone
        progress.batchesDead = 0
        progress.batchesPending = 0
        progress.batchesLeased = 0
        progress.batchesDelayed = 0
        progress.enumerationDone = false
    }

    package mutating func enqueue(_ ranges: [BatchRange]) {
        for range in ranges {
            pending.append(newEntry(range))
            progress.batchesPending += 1
            progress.batchesTotal += 1
            progress.recordsTotal += range.records
        }
    }

    package mutating func finishEnumeration() {
        progress.enumerationDone = true
    }

    package mutating func claim(now: ContinuousClock.Instant) -> Lease? {
        if let index = delayed.firstIndex(where: { $0.due <= now }) {
            pending.append(delayed.remove(at: index).entry)
            progress.batchesDelayed -= 1
            progress.batchesPending += 1
        }
        guard meter.allowsClaim(now: now), var entry = pending.popFirst() else { return nil }
        meter.charge(records: entry.range.records, now: now)
        entry.deliveries += 1
        leased[entry.sequence] = entry
        progress.batchesPending -= 1
        progress.batchesLeased += 1
        return Lease(
            sequence: entry.sequence, generation: generation, range: entry.range,
            deliveries: entry.deliveries)
    }

    package mutating func acknowledge(
        _ lease: Lease, _ result: BatchResult, now: ContinuousClock.Instant, delay: Duration
    ) -> AcknowledgeAnswer {
        if let refusal = takeLease(lease) { return refusal }
        let handedOn = result.remainder?.records ?? 0
        let accounted = result.rewrapped + result.failures.count + handedOn
        progress.recordsRewrapped += result.rewrapped
        progress.recordsFailed += result.failures.count
        progress.recordsSuperseded += max(0, lease.range.records - accounted)
        progress.recordsTotal += max(0, accounted - lease.range.records)
        progress.batchesDone += 1
        progress.cost += result.cost
        rowsByLeaf[lease.range.leaf, default: 0] += result.cost.rows
        if let remainder = result.remainder {
            delayed.append(Delayed(due: now.advanced(by: delay), entry: newEntry(remainder)))
            progress.batchesDelayed += 1
            progress.batchesTotal += 1
        }
        return .counted
    }

    package mutating func handBack(
        _ lease: Lease, blockedSince: Int64?, now: ContinuousClock.Instant, delay: Duration
    ) -> AcknowledgeAnswer {
        if let refusal = takeLease(lease) { return refusal }
        var range = lease.range
        range.blockedSince = blockedSince
        let entry = Entry(sequence: lease.sequence, range: range, deliveries: lease.deliveries)
        delayed.append(Delayed(due: now.advanced(by: delay), entry: entry))
        progress.batchesDelayed += 1
        return .counted
    }

    package mutating func split(_ lease: Lease, into parts: [BatchRange]) -> AcknowledgeAnswer {
        if let refusal = takeLease(lease) { return refusal }
        let handedOn = parts.reduce(0) { $0 + $1.records }
        progress.recordsSuperseded += max(0, lease.range.records - handedOn)
        progress.recordsTotal += max(0, handedOn - lease.range.records)
        progress.batchesTotal -= 1
        progress.splits += 1
        for part in parts {
            pending.append(newEntry(part))
            progress.batchesPending += 1
            progress.batchesTotal += 1
        }
        return .counted
    }

    package mutating func bury(_ lease: Lease) -> AcknowledgeAnswer {
        if let refusal = takeLease(lease) { return refusal }
        progress.recordsFailed += lease.range.records
        progress.batchesDead += 1
        return .counted
    }

    /// Takes a batch out of its lease; says why not, where it cannot.
    private mutating func takeLease(_ lease: Lease) -> AcknowledgeAnswer? {
        guard lease.generation == generation else { return .stale }
        guard let entry = leased[lease.sequence], entry.range == lease.range else { return .duplicate }
        leased[lease.sequence] = nil
        progress.batchesLeased -= 1
        return nil
    }

    private mutating func newEntry(_ range: BatchRange) -> Entry {
        nextSequence += 1
        return Entry(sequence: nextSequence, range: range, deliveries: 0)
    }
}
