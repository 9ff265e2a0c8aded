import Catalog
import Envelope
import Postgres
import Synchronization

/// One pass over all tables in one snapshot, by several connections.
struct SnapshotPass: Sendable {
    let plan: VerificationPlan
    let opening: SnapshotOpening
    let observer: any VerificationObserver

    /// Counts labels.
    func census() async throws -> Census {
        let dispenser = RangeDispenser(opening.leaves)
        let onRange = progress(dispenser.totalBlocks)
        let parts = try await lanes(count(dispenser)) {
            try await LabelLane(plan.settings).run(
                opening.name, dispenser, keyIDs: plan.keyIDs, onRange: onRange)
        }
        return parts.reduce(into: Census()) { $0.merge($1) }
    }

    /// Opens values.
    func depth() async throws -> (work: DepthWork, tallies: [LaneTally]) {
        var work = try DepthWork(opening.leaves, depth: plan.depth, targetKey: plan.targetKey)
        work.sampleMillionths = plan.sampleMillionths
        return (work, try await run(work))
    }

    /// Names the places of values whose nonces were met before.
    func places(of nonces: Set<UInt64>) async throws -> [LaneTally.Suspect] {
        var work = try DepthWork(opening.leaves, depth: .values, targetKey: plan.targetKey)
        work.wantedNonces = nonces
        return try await run(work).flatMap(\.suspects)
    }

    private func run(_ work: DepthWork) async throws -> [LaneTally] {
        let onRange = progress(work.dispenser.totalBlocks)
        return try await lanes(count(work.dispenser)) {
            try await DepthLane(plan.settings, work).run(opening.name, onRange: onRange)
        }
    }

    private func count(_ dispenser: RangeDispenser) -> Int {
        max(1, min(plan.concurrency, dispenser.totalBlocks))
    }

    private func lanes<Part: Sendable>(
        _ count: Int, _ body: @escaping @Sendable () async throws -> Part
    ) async throws -> [Part] {
        try await withThrowingTaskGroup(of: Part.self) { group in
            for _ in 0..<count { group.addTask { try await body() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func progress(_ totalBlocks: Int) -> @Sendable (Int, Int) -> Void {
        let counter = ProgressCounter(totalBlocks: totalBlocks)
        let observer = observer
        return { blocks, records in observer.progressed(counter.add(blocks, records)) }
    }
}

/// Sums up what the lanes have read.
private final class ProgressCounter: Sendable {
    private let state: Mutex<VerificationProgress>
    private let start = ContinuousClock.now

    init(totalBlocks: Int) {
        var progress = VerificationProgress()
        progress.totalBlocks = totalBlocks
        state = Mutex(progress)
    }

    func add(_ blocks: Int, _ records: Int) -> VerificationProgress {
        state.withLock { progress in
            progress.blocks += blocks
            progress.records += records
            progress.elapsed = ContinuousClock.now - start
            return progress
        }
    }
}
