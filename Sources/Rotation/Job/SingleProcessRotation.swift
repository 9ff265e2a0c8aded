package import BatchQueue
package import Logging
package import Postgres
import Verification

/// A whole rotation in one process: coordinator and worker over an in-memory queue.
///
/// Cancelling the task that runs it is a graceful stop: ranges in hand are finished and counted.
package final class SingleProcessRotation: Sendable {
    private let plan: JobPlan
    private let settings: ConnectionSettings
    private let lanes: Int
    private let logger: Logger
    private let queue: InMemoryBatchQueue
    private let coordinator: Coordinator
    private let metrics: RotationMetrics

    /// Between two looks at the queue for metrics.
    private static let watchingPause: Duration = .seconds(1)

    /// - Parameter lanes: database connections that rewrap.
    package init(
        _ plan: JobPlan, settings: ConnectionSettings, lanes: Int, options: Coordinator.Options,
        observer: any RotationObserver, logger: Logger, metrics: RotationMetrics = .none
    ) throws {
        self.metrics = metrics
        self.plan = plan
        self.settings = settings
        self.lanes = lanes
        self.logger = logger
        queue = InMemoryBatchQueue(failures: try FailureSpool()) { observer.failed($0) }
        coordinator = Coordinator(
            plan, queue: queue, settings: settings, options: options, observer: observer, logger: logger,
            metrics: metrics.coordinator)
    }

    /// Runs the job to its end.
    /// - Throws: `RotationError` where it could not run at all; nothing has been changed then.
    package func run() async throws -> RotationResult {
        metrics.coordinator.waitsForTheLead()
        metrics.worker.works(withLanes: lanes)
        let leadership = Leadership(
            plan, settings.named("reencrypt-secrets leader"), logger,
            errors: metrics.coordinator.connectionErrors)
        let watching = Task { await watch() }
        defer { watching.cancel() }
        do {
            try await leadership.acquire()
            metrics.coordinator.leads()
            // The census of a large table outlasts the silence after which the server takes the lead away.
            let before = try await leadership.holding { try await self.coordinator.open() }
            let result = try await withThrowingTaskGroup(of: RotationResult?.self) { group in
                group.addTask {
                    try await leadership.hold()
                    return nil
                }
                group.addTask { try await self.work() }
                group.addTask { try await self.coordinator.run(from: before, leadership: leadership) }
                return try await Self.endResult(of: &group, from: before, queue)
            }
            await leadership.release()
            await coordinator.close()
            return result
        } catch {
            await leadership.release()
            await coordinator.close()
            throw error
        }
    }

    /// Failed records of the last sweep.
    package func forEachFailure(_ body: @escaping @Sendable (RecordFailure) throws -> Void) async throws {
        try await queue.forEachFailure(body)
    }

    private func work() async throws -> RotationResult? {
        let worker = Worker(
            plan, queue: queue, settings: settings.named("reencrypt-secrets worker"), lanes: lanes,
            logger: logger, metrics: metrics.worker)
        try await worker.run()
        return nil
    }

    private func watch() async {
        var observer = QueueObserver(metrics.coordinator, ofNewJob: true)
        while !Task.isCancelled {
            observer.observe(await queue.progress(), isPaused: false, leaseExpiries: 0)
            do {
                try await Task.sleep(for: Self.watchingPause)
            } catch {
                return
            }
        }
    }

    /// The coordinator's result, with what was counted once the lanes had ended; or, where the worker or the
    /// lead came to grief, one that says so: rows may have been changed already, so that is incomplete.
    private static func endResult(
        of group: inout ThrowingTaskGroup<RotationResult?, any Error>, from before: Census,
        _ queue: InMemoryBatchQueue
    ) async throws -> RotationResult {
        var reason: String?
        var result: RotationResult?
        while !group.isEmpty {
            do {
                guard let ended = try await group.next() else { break }
                result = result ?? ended
                if ended == nil { continue }
            } catch let error as RotationError {
                reason = reason ?? error.message
            }
            await queue.endJob()
            group.cancelAll()
        }
        let grief = result.map { $0.outcome == .stopped } ?? true ? reason : nil
        guard let outcome = grief.map({ .incomplete($0) }) ?? result?.outcome else {
            throw CancellationError()
        }
        return RotationResult(
            outcome: outcome, before: before, after: result?.after, progress: await queue.progress())
    }
}
