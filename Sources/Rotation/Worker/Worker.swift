package import BatchQueue
package import Logging
package import Postgres
import Synchronization

/// Takes ranges from a queue and rewraps them on a number of lanes.
package final class Worker: Sendable {
    private let queue: any BatchQueue
    private let lanes: [RewrapLane]
    private let logger: Logger
    private let metrics: WorkerMetrics
    /// Since when nothing but failures has come of the ranges in hand.
    private let failingSince = Mutex<ContinuousClock.Instant?>(nil)
    private let lastLockNotice = Mutex<ContinuousClock.Instant?>(nil)

    /// How long a worker that can finish nothing keeps trying, where no lock of others explains it.
    private static let patience: Duration = .seconds(600)
    /// What a stop leaves the statements that are running.
    private static let graceOnStop: Duration = .seconds(6)

    /// - Parameter lanes: database connections, at least 1.
    package init(
        _ plan: JobPlan, queue: any BatchQueue, settings: ConnectionSettings, lanes: Int, logger: Logger,
        metrics: WorkerMetrics = .none
    ) {
        self.metrics = metrics
        self.queue = queue
        self.lanes = (0..<max(1, lanes)).map { _ in RewrapLane(plan, settings, metrics) }
        self.logger = logger
    }

    /// Works until the job has ended. Where the task is cancelled, the ranges in hand are finished and
    /// reported first.
    /// - Throws: `RotationError` where only a person can help; the range in hand has been handed back.
    package func run() async throws {
        let lanes = lanes
        try await withTaskCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in lanes {
                    group.addTask { try await self.run(lane) }
                }
                // The first lane that ends with an error ends the others, also where they only wait.
                for try await _ in group {}
            }
        } onCancel: {
            // Ranges in hand are finished; a statement that does not end is not waited for.
            Task.detached {
                do {
                    try await Task.sleep(for: Self.graceOnStop)
                } catch {
                    return
                }
                for lane in lanes { lane.cancelStatement() }
            }
        }
    }

    /// Ends the lanes' sessions.
    package func close() async {
        for lane in lanes { await lane.close() }
    }

    /// Two claims at most: the range in hand, and one beside it that the lane may read ahead. The report of a
    /// range and the claim after it go on while the lane is at the next range, so that no lane waits for a queue
    /// that has work.
    private func run(_ lane: RewrapLane) async throws {
        var inHand = try await queue.claim()
        var unreported: Report?
        while let lease = inHand {
            let slot = ClaimSlot()
            // What workers may be lost by stays alone: a range beside it would be suspected with it.
            let readsAhead = lease.crashes == 0
            let following = Task { [unreported] in
                if let unreported { try await self.tell(unreported) }
                return readsAhead ? try await self.claim(into: slot) : nil
            }
            (inHand, unreported) = try await withTaskCancellationHandler {
                try await finish(lease, on: lane, slot, following, readsAhead: readsAhead)
            } onCancel: {
                following.cancel()
            }
        }
    }

    private func claim(into slot: ClaimSlot) async throws -> Lease? {
        let lease = try await queue.claim()
        if let lease { slot.put(lease) }
        return lease
    }

    /// Processes a range.
    /// - Returns: the range in hand from now on; and what is not reported yet, where that range's rows are locked
    ///   already and wait for nothing.
    private func finish(
        _ lease: Lease, on lane: RewrapLane, _ slot: ClaimSlot, _ following: Task<Lease?, any Error>,
        readsAhead: Bool
    ) async throws -> (inHand: Lease?, unreported: Report?) {
        let (outcome, next) = await lane.process(lease) { Task.isCancelled ? nil : slot.take() }
        let report = Report(lease: lease, outcome: outcome)
        if let next { return (next, report) }
        do {
            try await tell(report)
            let claimed = try await following.value
            guard let claimed, Task.isCancelled else {
                return (readsAhead ? claimed : try await queue.claim(), nil)
            }
            try await tell(Report(lease: claimed, outcome: RewrapLane.stopping(claimed)))
            return (nil, nil)
        } catch {
            following.cancel()
            await handBackWhatCame(of: following)
            throw error
        }
    }

    /// A lane that ends with an error gives back what it has claimed and not begun.
    private func handBackWhatCame(of following: Task<Lease?, any Error>) async {
        do {
            guard let lease = try await following.value else { return }
            try await tell(Report(lease: lease, outcome: RewrapLane.stopping(lease)))
        } catch {
            // The error that the lane ends with is thrown by the caller; on Redis the lease runs out by itself.
        }
    }

    /// What the queue is to be told of a range.
    private struct Report: Sendable {
        let lease: Lease
        let outcome: RangeOutcome
    }

    private func tell(_ report: Report) async throws {
        let lease = report.lease
        switch report.outcome {
        case .done(let result):
            failingSince.withLock { $0 = nil }
            try await accept(queue.acknowledge(lease, result), report)
        case .handBack(let delay, let blockedSince, let cause, let reason):
            logger.debug("Range handed back", metadata: metadata(lease, reason))
            if let blockedSince, cause == .locked { sayThatRowsAreLocked(lease, since: blockedSince, reason) }
            try await accept(queue.handBack(lease, after: delay, blockedSince: blockedSince), report)
            try checkPatience(failed: cause == .failure, reason)
        case .split(let parts):
            failingSince.withLock { $0 = nil }
            logger.debug("Range split", metadata: metadata(lease, "into \(parts.count)"))
            try await accept(queue.split(lease, into: parts), report)
        case .bury(let reason):
            logger.warning("Range given up", metadata: metadata(lease, reason))
            try await accept(queue.bury(lease, reason: reason), report)
        case .needsOperator(let reason):
            try await accept(queue.handBack(lease, after: .zero, blockedSince: nil), report)
            throw RotationError(.needsOperator, reason)
        }
    }

    /// Somebody who watches should know what it waits for, without a line for every try.
    private func sayThatRowsAreLocked(_ lease: Lease, since: Int64, _ reason: String) {
        let seconds = (WallClock.milliseconds - since) / 1_000
        guard seconds >= 15 else { return }
        let isDue = lastLockNotice.withLock { last in
            if let last, ContinuousClock.now - last < .seconds(15) { return false }
            last = .now
            return true
        }
        guard isDue else { return }
        logger.warning(
            "Waiting for rows that are locked for \(seconds) s; they are given up after 10 minutes",
            metadata: metadata(lease, reason))
    }

    private func accept(_ answer: AcknowledgeAnswer, _ report: Report) {
        metrics.reported(report.lease, report.outcome, answer)
        if answer != .counted {
            logger.debug("Report not counted", metadata: metadata(report.lease, "\(answer)"))
        }
    }

    private func checkPatience(failed: Bool, _ reason: String) throws {
        let failing = failingSince.withLock { since -> Duration in
            if !failed { since = nil }
            guard failed else { return .zero }
            let start = since ?? .now
            since = start
            return ContinuousClock.now - start
        }
        if failing > Self.patience {
            throw RotationError(
                .databaseAway,
                "nothing could be finished for \(Self.patience.components.seconds / 60) minutes; last reason: \(reason)"
            )
        }
    }

    private func metadata(_ lease: Lease, _ reason: String) -> Logger.Metadata {
        [
            LogKey.table: "\(lease.range.table)", LogKey.batchSequence: "\(lease.sequence)",
            LogKey.reason: "\(reason)",
        ]
    }
}
