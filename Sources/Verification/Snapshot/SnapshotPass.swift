import Catalog
import Envelope
import Postgres
import Synchronization

/// One pass over all tables in one snapshot, by several sessions.
struct SnapshotPass: Sendable {
    let plan: VerificationPlan
    let held: HeldSnapshot
    let leaves: [RangeDispenser.Leaf]
    let observer: any VerificationObserver

    /// Counts labels.
    func census() async throws -> Census {
        let dispenser = RangeDispenser(leaves)
        let onRange = progress(dispenser.totalBlocks)
        let lane = LabelLane(dispenser, keyIDs: plan.keyIDs)
        let parts = try await lanes(dispenser) { try lane.run($0, onRange: onRange) }
        return parts.reduce(into: Census()) { $0.merge($1) }
    }

    /// Opens values.
    /// - Parameter since: only of row versions that a transaction wrote which was under way then, or began later.
    func depth(since: TransactionHorizon? = nil) async throws -> (work: DepthWork, tallies: [LaneTally]) {
        var work = try DepthWork(leaves, depth: plan.depth, targetKey: plan.targetKey)
        work.sampleMillionths = plan.samplePercent == nil || since != nil ? nil : plan.sampleMillionths
        work.since = since
        return (work, try await run(work))
    }

    /// Names the places of values whose nonces were met before.
    func places(of nonces: Set<UInt64>) async throws -> [LaneTally.Suspect] {
        var work = try DepthWork(leaves, depth: .values, targetKey: plan.targetKey)
        work.wantedNonces = nonces
        return try await run(work).flatMap(\.suspects)
    }

    private func run(_ work: DepthWork) async throws -> [LaneTally] {
        let onRange = progress(work.dispenser.totalBlocks)
        return try await lanes(work.dispenser) { session in
            var lane = DepthLane(work)
            return try lane.run(session, onRange: onRange)
        }
    }

    /// Runs `body` in several sessions. The reader is one of them: it holds all locks, and reads what others cannot.
    private func lanes<Part: Sendable>(
        _ dispenser: RangeDispenser, _ body: @escaping @Sendable (PostgresSession) throws -> Part
    ) async throws -> [Part] {
        let count = max(1, min(plan.concurrency, dispenser.totalBlocks, held.mostSessions))
        return try await withThrowingTaskGroup(of: Part?.self) { group in
            group.addTask { try await held.reader.perform { try body($0) } }
            for _ in 1..<count {
                group.addTask {
                    let connection = PostgresConnection(plan.settings)
                    let part = try await connection.perform { session in
                        try held.adopt(session) ? try body(session) : nil
                    }
                    await connection.close()
                    return part
                }
            }
            return try await group.reduce(into: []) { parts, part in
                if let part { parts.append(part) }
            }
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
