package import BatchQueue
import Catalog
import Envelope
package import Logging
package import Postgres
import Synchronization
import Verification

/// A whole rotation in one process: coordinator and workers over an in-memory queue.
///
/// Cancelling the task that runs it is a graceful stop: ranges in hand are finished and counted.
package final class SingleProcessRotation: Sendable {
    package struct Options: Sendable {
        /// Database connections that rewrap.
        package var lanes: Int
        /// Rows a range; nil adapts.
        package var batchSize: Int?
        package var allowsUnknownKeys: Bool

        package init(lanes: Int, batchSize: Int?, allowsUnknownKeys: Bool) {
            self.lanes = lanes
            self.batchSize = batchSize
            self.allowsUnknownKeys = allowsUnknownKeys
        }
    }

    private let plan: JobPlan
    private let settings: ConnectionSettings
    private let options: Options
    private let observer: any RotationObserver
    private let logger: Logger
    private let queue: InMemoryBatchQueue
    private let connection: PostgresConnection
    private let sizer: Mutex<BatchSizer>
    private let meter = Mutex(ProgressMeter())

    package init(
        _ plan: JobPlan, settings: ConnectionSettings, options: Options, observer: any RotationObserver,
        logger: Logger
    ) throws {
        self.plan = plan
        self.settings = settings
        self.options = options
        self.observer = observer
        self.logger = logger
        queue = InMemoryBatchQueue(failures: try FailureSpool()) { observer.failed($0) }
        connection = PostgresConnection(settings.named("reencrypt-secrets coordinator"))
        sizer = Mutex(BatchSizer(fixed: options.batchSize))
    }

    /// Runs the job to its end.
    /// - Throws: `RotationError` where it could not run at all; nothing has been changed then.
    package func run() async throws -> RotationResult {
        let leadership = Leadership(plan, settings.named("reencrypt-secrets leader"), logger)
        do {
            try await leadership.acquire()
            let result = try await withThrowingTaskGroup(of: RotationResult?.self) { group in
                group.addTask {
                    try await leadership.hold()
                    return nil
                }
                group.addTask { try await self.rotate(leadership) }
                // Whoever ends first decides: the lead is held until the rotation has ended.
                while let ended = try await group.next() {
                    if let result = ended {
                        group.cancelAll()
                        return result
                    }
                }
                throw CancellationError()
            }
            await leadership.release()
            await connection.close()
            return result
        } catch {
            await leadership.release()
            await connection.close()
            throw error
        }
    }

    /// Failed records of the last sweep.
    package func forEachFailure(_ body: @escaping @Sendable (RecordFailure) throws -> Void) async throws {
        try await queue.forEachFailure(body)
    }

    // MARK: Sweeps

    private func rotate(_ leadership: Leadership) async throws -> RotationResult {
        let before = try await takeCensus()
        try await KeyPreflight(plan, allowsUnknownKeys: options.allowsUnknownKeys, logger)
            .check(before, on: connection)
        let target = plan.targetKeyID
        let worker = Worker(
            plan, queue: queue, settings: settings.named("reencrypt-secrets worker"), lanes: options.lanes,
            logger: logger, onReport: { self.record($0) })
        var policy = SweepPolicy(oldRecords: before.oldRecords(target: target))
        var latest = before
        do {
            while latest.oldRecords(target: target) > 0 {
                try await sweep(latest.oldRecords(target: target), worker)
                if Task.isCancelled { return try await stopped(before) }
                latest = try await takeCensus()
                let progress = await queue.progress()
                let remaining = latest.oldRecords(target: target)
                logger.info(
                    "Sweep \(progress.sweep) is through: \(remaining) old records remain by a fresh census")
                switch policy.judge(remaining: remaining, failed: progress.recordsFailed) {
                case .complete, .anotherSweep: break
                case .incomplete(let reason):
                    await worker.close()
                    return RotationResult(
                        outcome: .incomplete(reason), before: before, after: latest, progress: progress)
                }
            }
            await worker.close()
            try await leadership.confirm()
            return RotationResult(
                outcome: .complete, before: before, after: latest, progress: await queue.progress())
        } catch is CancellationError {
            return try await stopped(before)
        } catch let error as RotationError {
            // Rows may have been changed already: that is incomplete, not 'could not run'.
            await worker.close()
            return RotationResult(
                outcome: .incomplete(error.message), before: before, after: nil,
                progress: await queue.progress())
        }
    }

    private func sweep(_ oldRecords: Int, _ worker: Worker) async throws {
        try await queue.beginSweep()
        let done = await queue.progress().recordsDone
        meter.withLock { $0.beginSweep(oldRecords: oldRecords, done: done) }
        let enumerator = Enumerator(
            plan: plan, queue: queue, connection: connection, logger: logger,
            rangeRows: { self.sizer.withLock { $0.rows } })
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await enumerator.enumerate()
                return true
            }
            group.addTask {
                try await worker.drain()
                return true
            }
            group.addTask {
                await self.reportProgress()
                return false
            }
            var working = 2
            while working > 0, let isWork = try await group.next() {
                if isWork { working -= 1 }
            }
            group.cancelAll()
        }
        await observe()
    }

    private func stopped(_ before: Census) async throws -> RotationResult {
        RotationResult(outcome: .stopped, before: before, after: nil, progress: await queue.progress())
    }

    private func takeCensus() async throws -> Census {
        let taker = CensusTaker(plan.tables, keyIDs: plan.keyring.ids.map(\.description))
        return try await connection.perform { try taker.take($0) }
    }

    // MARK: Progress

    private func record(_ report: RangeReport) {
        let wasSplit = if case .split = report.outcome { true } else { false }
        sizer.withLock {
            $0.record(
                rows: report.rows, bytes: report.bytes, seconds: report.duration / .seconds(1),
                wasSplit: wasSplit)
        }
    }

    private func reportProgress() async {
        while !Task.isCancelled {
            do {
                try await Task.sleep(for: .milliseconds(200))
            } catch {
                return
            }
            await observe()
        }
    }

    private func observe() async {
        let progress = await queue.progress()
        observer.progressed(meter.withLock { $0.read(progress, at: .now) })
    }
}
