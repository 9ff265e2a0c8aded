import ArgumentParser
import Envelope
import Catalog
import BatchQueue
import FoundationEssentials
import Logging
import Postgres
import Redis
import Rotation
import Synchronization
import Verification

/// Waits for the lead of a queue, leads a job to its end, and says with which exit code.
struct Coordination {
    let settings: JobSettings
    let redis: RedisConnection
    let queue: QueueName
    let mode: RotationMode
    let options: Coordinator.Options
    let expectedKeyIDs: Set<String>
    let logger: Logger
    let metrics: CoordinatorMetrics
    let health = HealthMonitor()

    /// Looks at the queue are 2 to 3 seconds apart, each with a time-out of 5.
    private static let queueSilence: Duration = .seconds(15)
    /// The lead is proven every 10 seconds; the server takes it away after 30.
    private static let leadSilence: Duration = .seconds(25)
    /// Between two looks at the queue while leading.
    private static let watchingPause: Duration = .seconds(3)
    /// Between two tries for the lead.
    private static let waitingPause: Duration = .seconds(2)

    /// - Returns: nil where the task was cancelled; the job stays on the queue then.
    func run() async throws -> ExitCode? {
        let server = try await redis.perform { try $0.requireSupportedServer() }
        logger.info("Connected to queue", metadata: ["queue": "\(queue)", "server": "\(server)"])
        let preparation = try await settings.prepare(logger, sessions: options.sessions)
        let monitor = QueueMonitor(redis, queue: queue)
        let trouble = QueueTrouble(logger, health, metrics.connectionErrors)
        metrics.waitsForTheLead()
        health.expect(.queue, within: Self.queueSilence)
        defer { health.stop() }
        var follower = QueueFollower()
        var isWaiting = false
        while !Task.isCancelled {
            do {
                let asked = ContinuousClock.now
                let stored = try await monitor.job()
                health.succeeded(.queue)
                switch follower.look(stored, at: asked, isOurs: { isOurs($0, preparation) }) {
                case .lead: break
                case .ended(let job): return ended(job)
                case .movedOn:
                    logger.warning(
                        "The queue has moved on to another job while this process waited; nothing more to do here"
                    )
                    return ExitStatus.incomplete
                }
                return try await lead(stored, preparation, trouble, &follower)
            } catch is TooLateToLead {
                if follower.hasLostData {
                    logger.warning(
                        "The queue has lost its job, and this process was away for so long that another one may have run; nothing more to do here. Nothing is lost: if this rotation is still wanted, start the coordinator again"
                    )
                    return ExitStatus.incomplete
                }
                continue
            } catch let error as RotationError
                where error.code == .queueIsLed || error.code == .leadershipLost
            {
                if !isWaiting || error.code == .leadershipLost {
                    logger.info("Waiting for the lead", metadata: ["reason": "\(error)"])
                }
                isWaiting = true
            } catch is LeadershipTaken {
                logger.warning(
                    "Redis does not name this coordinator as the leader any more; waiting for the lead")
                isWaiting = true
            } catch let error as RedisError where error.isRetriable {
                trouble.log(error)
            } catch let error as PostgresError where error.isRetriable {
                metrics.connectionErrors.note(error)
                logger.warning("Waiting for the database", metadata: [LogKey.reason: "\(error)"])
            }
            do {
                try await Task.sleep(for: Self.waitingPause)
            } catch {
                return nil
            }
        }
        return nil
    }

    /// The locks were taken so long after the last look that another job may have run, and ended, between.
    private struct TooLateToLead: Error {}

    /// Whether a job is one that this process would lead: same target, mode, catalog and database.
    private func isOurs(_ job: QueueMonitor.StoredJob, _ preparation: DatabasePreparation) -> Bool {
        do {
            return try settings.verifiedRecord(of: job, preparation).mode == mode
        } catch {
            return false
        }
    }

    /// A job ended under another coordinator.
    private func ended(_ job: QueueMonitor.StoredJob) -> ExitCode {
        logger.info(
            "The job ended under another coordinator: \(job.state)\(settings.scope.part)\(settings.scope.rest)",
            metadata: ["job": "\(job.id)"])
        return job.state == "complete" ? .success : ExitStatus.incomplete
    }

    /// The unfinished job's record, if it is ours to take up; else that of a new job.
    /// - Parameter unfinished: on the queue, or lost with it.
    private func record(
        _ unfinished: QueueMonitor.StoredJob?, _ preparation: DatabasePreparation
    ) throws -> JobRecord {
        if let unfinished {
            let record = try settings.verifiedRecord(of: unfinished, preparation)
            guard record.mode == mode else {
                throw RotationError(
                    .refused,
                    "refused: the unfinished job on queue \(queue) is in mode \(record.mode.rawValue), not \(mode.rawValue). "
                        + "Take it up in its mode, or cancel it first (reencrypt-secrets cancel --queue \(queue))"
                )
            }
            return record
        }
        let (job, lockKey) = JobRecord.draw()
        return JobRecord(
            job: job, lockKey: lockKey, mode: mode, keyring: settings.keyring,
            catalogDigest: try JobRecord.digest(ofCatalog: settings.file.canonicalText),
            database: preparation.identity)
    }

    // MARK: Leading

    /// - Parameters:
    ///   - stored: what is on the queue.
    ///   - follower: is told of a lead that was held and lost.
    /// - Throws: `TooLateToLead`; `LeadershipTaken`; what the rotation throws.
    private func lead(
        _ stored: QueueMonitor.StoredJob?, _ preparation: DatabasePreparation, _ trouble: QueueTrouble,
        _ follower: inout QueueFollower
    ) async throws -> ExitCode? {
        let lost = follower.lost
        let unfinished = stored.flatMap { $0.isRunning ? $0 : nil } ?? lost
        let record = try record(unfinished, preparation)
        let plan = JobPlan(
            keyring: settings.keyring, mode: mode, tables: preparation.tables,
            jobLock: .job(record.lockKey), expectedKeyIDs: expectedKeyIDs)
        let (text, code) = try record.authenticated(by: settings.keyring)
        let lead = LeadBox()
        let coordinatorQueue = RedisCoordinatorQueue(
            redis, queue: queue,
            job: RedisCoordinatorQueue.JobDescription(
                id: record.job, record: text, recordCode: code, targetKeyID: record.targetKeyID,
                mode: record.mode.rawValue, tables: plan.tables.map(\.name),
                startedAt: lost.map { $0.startedAt > 0 ? "\($0.startedAt)" : "" } ?? "",
                isPaused: lost?.isPaused ?? false),
            stillLeads: { await lead.isStillHeld() }, onTrouble: { trouble.log($0) })
        let leadership = Leadership(
            plan, queueLock: try .queue(named: queue.description),
            settings.database.named("reencrypt-secrets leader"), logger, errors: metrics.connectionErrors,
            onRetake: { try await coordinatorQueue.confirmLead() })
        lead.set(leadership)
        let observer = QueueObserver(metrics, ofNewJob: unfinished == nil)
        let watching = Task {
            await watch(lead, record.job, observer, QueueMonitor(redis, queue: queue), trouble)
        }
        defer {
            watching.cancel()
            health.forget(.lead)
            lead.end { metrics.waitsForTheLead() }
        }
        var hasLed = false
        var hasBegun = false
        do {
            try await leadership.acquire()
            hasLed = true
            if follower.isTooLate(await leadership.lastProven) { throw TooLateToLead() }
            health.expect(.lead, within: Self.leadSilence)
            lead.begin { metrics.leads() }
            let code = try await run(
                record, plan, leadership, coordinatorQueue, preparation, seen: stored?.id
            ) { hasBegun = true }
            await leadership.release()
            return code
        } catch {
            await leadership.release()
            if hasBegun {
                follower.began(
                    QueueMonitor.StoredJob(
                        id: record.job, record: text, recordCode: code, state: "",
                        startedAt: Int(await coordinatorQueue.startedAt) ?? 0,
                        isPaused: await coordinatorQueue.isPaused))
            }
            if hasLed, !(error is TooLateToLead) { follower.led(until: await leadership.lastProven) }
            throw error
        }
    }

    private func run(
        _ record: JobRecord, _ plan: JobPlan, _ leadership: Leadership,
        _ coordinatorQueue: RedisCoordinatorQueue, _ preparation: DatabasePreparation, seen: String?,
        onBegin: () -> Void
    ) async throws -> ExitCode? {
        let output = ProgressOutput(logger)
        let coordinator = Coordinator(
            plan, queue: coordinatorQueue, settings: settings.database, options: options, observer: output,
            logger: logger, metrics: metrics, progressInterval: .seconds(1))
        let started = Moment()
        // The census of a large table outlasts the silence after which the server takes the lead away.
        let before = try await leadership.holding { try await coordinator.open() }
        // Redis may be away for longer than that, too.
        let resumes = try await leadership.holding { try await coordinatorQueue.open(seen: seen) }
        onBegin()
        logger.info(
            resumes ? "Taking up the unfinished job" : "Leading a new job",
            metadata: [
                "job": "\(record.job)", "target": "\(record.targetKeyID)", "mode": "\(record.mode.rawValue)",
            ])
        try await show(before, on: coordinatorQueue)
        let result = try await withThrowingTaskGroup(of: RotationResult?.self) { group in
            group.addTask {
                try await leadership.hold()
                return nil
            }
            group.addTask {
                try await coordinator.run(from: before, resuming: resumes, leadership: leadership)
            }
            while let ended = try await group.next() {
                guard let ended else { continue }
                group.cancelAll()
                return ended
            }
            throw CancellationError()
        }
        output.finish()
        await coordinator.close()
        if result.outcome == .stopped { return nil }
        return try await finish(result, on: coordinatorQueue, started, preparation)
    }

    /// Keeps health and metrics up to date while this process leads: the job as the queue shows it, which a census does
    /// not touch for minutes, and the last proof that the lead is held.
    private func watch(
        _ lead: LeadBox, _ job: String, _ observer: QueueObserver, _ monitor: QueueMonitor,
        _ trouble: QueueTrouble
    ) async {
        var observer = observer
        while !Task.isCancelled {
            if let proven = await lead.lastProven { health.succeeded(.lead, at: proven) }
            do {
                let snapshot = try await monitor.snapshot()
                health.succeeded(.queue)
                // Until the queue is ours it shows another job, or another leader's.
                if snapshot.job == job {
                    lead.whileHeld {
                        observer.observe(
                            snapshot.progress, isPaused: snapshot.isPaused,
                            leaseExpiries: snapshot.leaseExpiries)
                    }
                }
            } catch let error as RedisError {
                trouble.log(error)
            } catch {
                return
            }
            do {
                try await Task.sleep(for: Self.watchingPause)
            } catch {
                return
            }
        }
    }

    private func show(_ census: Census, on queue: RedisCoordinatorQueue) async throws {
        try await queue.show(
            census: census.sortedGroups().map {
                ([$0.group.table, $0.group.column, $0.group.label.keyID], $0.records)
            })
    }

    /// Writes the job's end to Redis and to the log, and the censuses to standard output.
    private func finish(
        _ result: RotationResult, on coordinatorQueue: RedisCoordinatorQueue, _ started: Moment,
        _ preparation: DatabasePreparation
    ) async throws -> ExitCode {
        let (state, reason) = RotationRun.words(for: result.outcome)
        let progress = result.progress
        let report = JobReport(
            startedAt: started.text, finishedAt: Timestamp.now(), durationSeconds: started.elapsedSeconds,
            outcome: state, reason: reason, mode: mode.rawValue, dryRun: false,
            targetKey: JobReport.Key(settings.keyring.primary),
            keys: settings.keyring.keys.map(JobReport.Key.init), database: preparation.database,
            tablesLeftOut: settings.tablesLeftOut, censusBefore: JobReport.CensusGroup.groups(result.before),
            censusAfter: result.after.map(JobReport.CensusGroup.groups),
            records: JobReport.Records(
                totalFirstCensus: result.before.totalRecords, handedOut: progress.recordsTotal,
                rewrapped: progress.recordsRewrapped, superseded: progress.recordsSuperseded,
                failed: progress.recordsFailed),
            sweeps: progress.sweep)
        try await coordinatorQueue.finish(state, report: report.oneLine())
        Console.printResult(CensusOutput.text(before: result.before, after: result.after))
        RotationRun.log(
            result, target: settings.keyring.primary.id.description, settings.scope, to: logger)
        return result.outcome == .complete ? .success : ExitStatus.incomplete
    }
}

/// Lets the queue ask the leadership, which in turn asks the queue; and keeps what is said of the lead in order.
private final class LeadBox: Sendable {
    private let leadership = Mutex<Leadership?>(nil)
    private let isHeld = Mutex(false)

    func set(_ value: Leadership) {
        leadership.withLock { $0 = value }
    }

    func isStillHeld() async -> Bool {
        guard let leadership = leadership.withLock({ $0 }) else { return false }
        return await leadership.isStillHeld()
    }

    var lastProven: ContinuousClock.Instant? {
        get async {
            guard let leadership = leadership.withLock({ $0 }) else { return nil }
            return await leadership.lastProven
        }
    }

    func begin(_ body: () -> Void) {
        isHeld.withLock { isHeld in
            isHeld = true
            body()
        }
    }

    func end(_ body: () -> Void) {
        isHeld.withLock { isHeld in
            isHeld = false
            body()
        }
    }

    /// Does nothing before the beginning and after the end.
    func whileHeld(_ body: () -> Void) {
        isHeld.withLock { isHeld in
            if isHeld { body() }
        }
    }
}
