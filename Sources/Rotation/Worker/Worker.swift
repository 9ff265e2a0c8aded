package import BatchQueue
package import Logging
package import Postgres
import Synchronization

/// Takes ranges from a queue and rewraps them on a number of lanes.
package final class Worker: Sendable {
    private let queue: any BatchQueue
    private let lanes: [RewrapLane]
    private let logger: Logger
    /// Since when nothing but failures has come of the ranges in hand.
    private let failingSince = Mutex<ContinuousClock.Instant?>(nil)
    private let lastLockNotice = Mutex<ContinuousClock.Instant?>(nil)

    /// How long a worker that can finish nothing keeps trying, where no lock of others explains it.
    private static let patience: Duration = .seconds(600)
    /// What a stop leaves the statements that are running.
    private static let graceOnStop: Duration = .seconds(6)

    /// - Parameter lanes: database connections, at least 1.
    package init(
        _ plan: JobPlan, queue: any BatchQueue, settings: ConnectionSettings, lanes: Int, logger: Logger
    ) {
        self.queue = queue
        self.lanes = (0..<max(1, lanes)).map { _ in RewrapLane(plan, settings) }
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

    private func run(_ lane: RewrapLane) async throws {
        while let lease = try await queue.claim() {
            try await tell(lease, await lane.process(lease))
        }
    }

    private func tell(_ lease: Lease, _ outcome: RangeOutcome) async throws {
        switch outcome {
        case .done(let result):
            failingSince.withLock { $0 = nil }
            try await accept(queue.acknowledge(lease, result), lease)
        case .handBack(let delay, let blockedSince, let cause, let reason):
            logger.debug("Range handed back", metadata: metadata(lease, reason))
            if let blockedSince, cause == .locked { sayThatRowsAreLocked(lease, since: blockedSince, reason) }
            try await accept(queue.handBack(lease, after: delay, blockedSince: blockedSince), lease)
            try checkPatience(failed: cause == .failure, reason)
        case .split(let parts):
            failingSince.withLock { $0 = nil }
            logger.debug("Range split", metadata: metadata(lease, "into \(parts.count)"))
            try await accept(queue.split(lease, into: parts), lease)
        case .bury(let reason):
            logger.warning("Range given up", metadata: metadata(lease, reason))
            try await accept(queue.bury(lease, reason: reason), lease)
        case .needsOperator(let reason):
            try await accept(queue.handBack(lease, after: .zero, blockedSince: nil), lease)
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

    private func accept(_ answer: AcknowledgeAnswer, _ lease: Lease) {
        if answer != .counted {
            logger.debug("Report not counted", metadata: metadata(lease, "\(answer)"))
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
