import ArgumentParser
import Catalog
import BatchQueue
import Glibc
import Logging
import Postgres
import Redis
import Rotation

/// Waits for jobs on a queue and works on them, one after the other.
struct QueueWork {
    let settings: JobSettings
    let redis: RedisConnection
    let queue: QueueName
    let lanes: Int
    let exitsWhenDone: Bool
    let logger: Logger
    let metrics: WorkerMetrics
    let health = HealthMonitor()
    private let identity: RedisWorkerQueue.Identity

    init(
        settings: JobSettings, redis: RedisConnection, queue: QueueName, lanes: Int, exitsWhenDone: Bool,
        logger: Logger, metrics: WorkerMetrics
    ) {
        self.metrics = metrics
        self.settings = settings
        self.redis = redis
        self.queue = queue
        self.lanes = lanes
        self.exitsWhenDone = exitsWhenDone
        self.logger = logger
        identity = Self.identity(lanes: lanes)
    }

    /// A heartbeat every 10 seconds, and its time-out.
    private static let queueSilence: Duration = .seconds(15)
    /// Between two looks at a queue without a job: idle workers cost next to nothing.
    private static let idlePause: Duration = .seconds(1)

    /// - Returns: the exit code of `--exit-when-done`; nil where the task was cancelled.
    /// - Throws: `RotationError` where the job must not be worked on with these settings, or only a person can
    ///   help.
    func run() async throws -> ExitCode? {
        let server = try await redis.perform { try $0.requireSupportedServer() }
        logger.info("Connected to queue", metadata: ["queue": "\(queue)", "server": "\(server)"])
        let preparation = try await settings.prepare(logger, sessions: lanes)
        let monitor = QueueMonitor(redis, queue: queue)
        let trouble = QueueTrouble(logger, health, metrics.connectionErrors)
        metrics.works(withLanes: lanes)
        health.expect(.queue, within: Self.queueSilence)
        defer { health.stop() }
        var last: QueueMonitor.StoredJob?
        var isFirstLook = true
        while !Task.isCancelled {
            do {
                let job = try await monitor.job()
                health.succeeded(.queue)
                let isFirst = isFirstLook
                isFirstLook = false
                if let job, job.isRunning {
                    if last?.id != job.id {
                        logger.info("Working on job", metadata: ["job": "\(job.id)"])
                    }
                    last = job
                    let began = ContinuousClock.now
                    try await work(on: job, preparation, trouble)
                    if Task.isCancelled { return nil }
                    // What ends at once would do so again: a job whose progress has been lost in part.
                    if ContinuousClock.now - began > Self.idlePause { continue }
                } else if let job {
                    // What was over when this worker came is not what it came for.
                    if isFirst { last = job }
                    // A job that came and went between two looks has ended as well; one that began earlier is what
                    // an older snapshot of Redis shows.
                    let hasEnded =
                        last.map { $0.id == job.id && $0.isRunning || $0.startedAt < job.startedAt } ?? true
                    if exitsWhenDone, hasEnded {
                        logger.info("The job has ended: \(job.state)", metadata: ["job": "\(job.id)"])
                        return job.state == "complete" ? .success : ExitStatus.incomplete
                    }
                }
            } catch let error as RedisError where error.isRetriable {
                trouble.log(error)
            } catch is CancellationError {
                return nil
            }
            do {
                try await Task.sleep(for: Self.idlePause)
            } catch {
                return nil
            }
        }
        return nil
    }

    private func work(
        on job: QueueMonitor.StoredJob, _ preparation: DatabasePreparation, _ trouble: QueueTrouble
    ) async throws {
        let record = try settings.verifiedRecord(of: job, preparation)
        guard record.job == job.id else {
            throw RotationError(.refused, "refused: the queue names another job than its record")
        }
        let plan = JobPlan(
            keyring: settings.keyring, mode: record.mode, tables: preparation.tables,
            jobLock: .job(record.lockKey))
        let logger = logger
        let workerQueue = RedisWorkerQueue(
            redis, queue: queue, job: job.id, identity: identity, onTrouble: { trouble.log($0) },
            onFailure: { logger.error("Failed: \($0.place): \($0.reason)") },
            onEvent: { [health, metrics] in Self.note($0, on: health, metrics) })
        let worker = Worker(
            plan, queue: workerQueue, settings: settings.database, lanes: lanes, logger: logger,
            metrics: metrics)
        // Not a child of this task: heartbeats outlive a stop's cancellation, while ranges in hand are finished.
        // A range that cannot be done says so; without one there is nothing that the database should answer.
        health.expect(.database, within: nil)
        defer { health.forget(.database) }
        let heartbeats = Task.detached { await workerQueue.keepAlive() }
        do {
            try await runLanes(of: worker, workerQueue)
        } catch {
            await Self.end(heartbeats, workerQueue)
            throw error
        }
        await Self.end(heartbeats, workerQueue)
        let tally = await workerQueue.tally
        logger.info(
            "Re-encrypted \(tally.rewrapped) records, \(tally.failed) failed; batches: \(tally.counted) counted, \(tally.duplicates) duplicate, \(tally.stale) stale; messages refused: \(tally.refusedMessages)",
            metadata: ["job": "\(job.id)"])
    }

    private static func note(
        _ event: RedisWorkerQueue.Event, on health: HealthMonitor, _ metrics: WorkerMetrics
    ) {
        switch event {
        case .answered(let script, let duration):
            health.succeeded(.queue)
            metrics.answered(script, after: duration)
        case .claimed(let sequence): health.began(sequence)
        case .finished(let sequence, let databaseFailed):
            health.ended(sequence)
            if databaseFailed {
                health.failed(.database, "ranges are handed back undone; the log says why")
            } else {
                health.succeeded(.database)
            }
        }
    }

    /// Runs the worker to its end, with a line about it now and then.
    private func runLanes(of worker: Worker, _ workerQueue: RedisWorkerQueue) async throws {
        let logger = logger
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await worker.run()
                return true
            }
            group.addTask {
                await Self.logTally(workerQueue, logger)
                return false
            }
            while let isWork = try await group.next() {
                if isWork { break }
            }
            group.cancelAll()
        }
    }

    /// The last heartbeat is over before the worker leaves the list; where Redis is away, the entry ends by itself.
    private static func end(_ heartbeats: Task<Void, Never>, _ queue: RedisWorkerQueue) async {
        heartbeats.cancel()
        await heartbeats.value
        do {
            try await queue.retire()
        } catch {
            return
        }
    }

    /// A line every ten seconds in which something was done.
    private static func logTally(_ queue: RedisWorkerQueue, _ logger: Logger) async {
        var last = await queue.tally
        while !Task.isCancelled {
            do {
                try await Task.sleep(for: .seconds(10))
            } catch {
                return
            }
            ProcessHardening.logUnlockedMemory(to: logger)
            let tally = await queue.tally
            if tally.refusedMessages > last.refusedMessages {
                logger.warning(
                    "Refused \(tally.refusedMessages - last.refusedMessages) messages on the queue that are none of the job's: malformed, forged, or of an earlier generation"
                )
            }
            if tally.counted > last.counted {
                logger.info(
                    "Progress: \(tally.rewrapped) records re-encrypted here, \((tally.rewrapped - last.rewrapped) / 10) records/s"
                )
            }
            last = tally
        }
    }

    /// One for the process, whatever jobs it works on.
    private static func identity(lanes: Int) -> RedisWorkerQueue.Identity {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return RedisWorkerQueue.Identity(
            id: "\(host)-\(getpid())-\(String(UInt32.random(in: 0...UInt32.max), radix: 16))", host: host,
            pid: Int(getpid()), version: ToolVersion.current, lanes: lanes)
    }
}
