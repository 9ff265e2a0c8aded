package import BatchQueue
import Catalog
import Envelope
package import Logging
package import Postgres
import Synchronization
package import Verification

/// Drives a job to its end: censuses, sweeps, and the verdict of whether another sweep helps. Who rewraps, in
/// this process or on other machines, is the queue's business.
package final class Coordinator: Sendable {
    package struct Options: Sendable {
        /// Rows a range; nil adapts.
        package var batchSize: Int?
        package var allowsUnknownKeys: Bool
        package var order: RowOrder
        package var profile: Profile
        package var limits: PaceLimits
        /// Share of a leaf's rows after which it is vacuumed; nil leaves that to autovacuum.
        package var vacuumPercent: Double?
        /// How long a census waits for transactions that may attach a table, or take its name.
        package var definitionPatience: Duration

        package init(
            batchSize: Int?, allowsUnknownKeys: Bool, order: RowOrder = .auto, profile: Profile = .balanced,
            limits: PaceLimits? = nil, vacuumPercent: Double? = 10,
            definitionPatience: Duration = SnapshotHold.usualDefinitionPatience
        ) {
            self.definitionPatience = definitionPatience
            self.order = order
            self.batchSize = batchSize
            self.allowsUnknownKeys = allowsUnknownKeys
            self.profile = profile
            self.limits = limits ?? profile.limits
            self.vacuumPercent = vacuumPercent
        }

        /// Database sessions that a coordinator holds at most at once: leader, coordinator, two of the pace,
        /// three of a census, and what the options add.
        package var sessions: Int {
            7 + (vacuumPercent == nil ? 0 : 1) + (limits.throttleQuery == nil ? 0 : 1)
        }
    }

    private let plan: JobPlan
    private let queue: any CoordinatorQueue
    private let options: Options
    private let observer: any RotationObserver
    private let logger: Logger
    private let metrics: CoordinatorMetrics
    private let settings: ConnectionSettings
    private let connection: PostgresConnection
    /// Transactions that may have attached a table since the last census, which then did not read it.
    private let pending = Mutex<[String]>([])
    private let pace: Mutex<Pace>
    private let pacer: Pacer
    private let vacuum: LeafVacuum?
    private let progressInterval: Duration
    private static let growthInterval: Duration = .milliseconds(25)

    /// What progress readings build up.
    private struct Pace {
        var sizer: BatchSizer
        var meter = ProgressMeter()
        var cost = BatchCost()
        var splits = 0
        var recordsPerSecond: Double?
        var readings = 0
        /// As it was last read.
        var lastProgress = JobProgress()

        /// Whether ranges are still smaller than what they cost would let them be. Not for long: ranges that are all
        /// locked would teach no size.
        var isGrowing: Bool { !sizer.isSettled && readings < 400 }

        /// Ranges that may be outstanding: 10,000, or 30 s of work where that is less, so that the queue's
        /// memory is bounded for a table of any size; never so few that a restart of workers finds none. At the
        /// start, while ranges still grow, few: what is handed out keeps its size.
        var window: Int {
            if isGrowing { return 64 }
            guard let recordsPerSecond else { return 1_000 }
            return min(10_000, max(500, Int(30 * recordsPerSecond / Double(max(1, sizer.rows)))))
        }
    }

    package init(
        _ plan: JobPlan, queue: any CoordinatorQueue, settings: ConnectionSettings, options: Options,
        observer: any RotationObserver, logger: Logger, metrics: CoordinatorMetrics = .none,
        progressInterval: Duration = .milliseconds(200)
    ) {
        self.metrics = metrics
        self.progressInterval = progressInterval
        self.plan = plan
        self.queue = queue
        self.options = options
        self.observer = observer
        self.logger = logger
        self.settings = settings
        connection = PostgresConnection(settings.named("reencrypt-secrets coordinator"))
        pace = Mutex(
            Pace(
                sizer: BatchSizer(
                    fixed: options.batchSize, targetSeconds: options.profile.batchSeconds,
                    largest: options.profile.largestBatch)))
        vacuum = options.vacuumPercent.map { percent in
            LeafVacuum(
                LeafVacuum.Options(percent: percent, costDelay: options.profile.vacuumCostDelay), plan,
                queue: queue, settings: settings, logger: logger)
        }
        pacer = Pacer(
            options.limits, plan, queue: queue, settings: settings, vacuum: vacuum, logger: logger,
            metrics: metrics)
    }

    /// The census that opens the job, and what it says about the keys.
    /// - Throws: `RotationError` where the job must not run; nothing has been changed.
    package func open() async throws -> Census {
        try await pacer.prepare()
        let census = try await takeCensus(lockPatience: .seconds(60))
        try await KeyPreflight(plan, allowsUnknownKeys: options.allowsUnknownKeys, logger)
            .check(census, on: connection)
        return census
    }

    /// Sweeps until a census finds no old record, or another sweep would not help.
    ///
    /// Cancelling the task is a graceful stop. The lead must be held all the while.
    package func run(
        from before: Census, resuming: Bool = false, leadership: Leadership
    ) async throws -> RotationResult {
        let target = plan.targetKeyID
        var policy = SweepPolicy(oldRecords: before.oldRecords(target: target))
        var latest = before
        var resumes = resuming
        do {
            while latest.oldRecords(target: target) > 0 {
                // A row that moves may escape a sweep in physical order, never one by its key.
                let order = policy.hasStalled ? .key : options.order
                if order != options.order {
                    logger.info("The next sweep goes in key order: the last one left as many as it found")
                }
                try await sweep(latest.oldRecords(target: target), order, resuming: resumes)
                resumes = false
                if Task.isCancelled { return try await result(.stopped, before, nil) }
                try await steadily { try await queue.beginVerification() }
                latest = try await takeCensus()
                try await queue.show(
                    census: latest.sortedGroups().map {
                        ([$0.group.table, $0.group.column, $0.group.label.keyID], $0.records)
                    })
                let progress = try await steadily { try await queue.progress() }
                let remaining = latest.oldRecords(target: target)
                logger.info(
                    "Sweep \(progress.sweep) is through: \(remaining) old records remain by a fresh census")
                switch policy.judge(remaining: remaining, failed: progress.recordsFailed) {
                case .complete, .anotherSweep: break
                case .incomplete(let reason): return try await result(.incomplete(reason), before, latest)
                }
            }
            if let reason = try await whatWasNotRead() {
                return try await result(.incomplete(reason), before, latest)
            }
            try await leadership.confirm()
            await StatisticsRenewal(plan, settings: settings, logger: logger).run()
            return try await result(.complete, before, latest)
        } catch is CancellationError {
            return try await result(.stopped, before, nil)
        } catch is JobCancelled {
            return try await result(.cancelled, before, nil)
        } catch let error as RotationError where error.code != .leadershipLost {
            // Rows may have been changed already: that is incomplete, not 'could not run'.
            return try await result(.incomplete(error.message), before, nil)
        } catch let error as SnapshotHoldError {
            return try await result(.incomplete(error.description), before, nil)
        } catch let error as PostgresError {
            return try await result(.incomplete(error.description), before, nil)
        }
    }

    /// Ends the connection.
    package func close() async {
        await connection.close()
        await pacer.close()
        await vacuum?.close()
    }

    // MARK: Sweeps

    private func sweep(_ oldRecords: Int, _ order: RowOrder, resuming: Bool) async throws {
        if !resuming { try await queue.beginSweep(oldRecords: oldRecords) }
        let done = try await steadily { try await queue.progress().recordsDone }
        pace.withLock { $0.meter.beginSweep(oldRecords: oldRecords, done: done) }
        try await pacer.start()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await self.enumerateAndDrain(order, resuming: resuming)
                return true
            }
            group.addTask {
                await self.reportProgress()
                return false
            }
            group.addTask {
                try await self.pacer.run()
                return false
            }
            if let vacuum {
                group.addTask {
                    await vacuum.run()
                    return false
                }
            }
            while let isWork = try await group.next() {
                if isWork { break }
            }
            group.cancelAll()
        }
        await pacer.release()
        await observe()
    }

    /// Does what needs the queue, from a fresh generation where it has lost data.
    private func steadily<R>(_ body: () async throws -> R) async throws -> R {
        while true {
            do {
                return try await body()
            } catch is GenerationLost {
                logger.warning("The queue has lost data; going on under a fresh generation")
                try await queue.redraw()
            }
        }
    }

    /// Enumerates and waits until everything is done, from the start again whenever the queue lost data.
    private func enumerateAndDrain(_ order: RowOrder, resuming: Bool) async throws {
        var cursor = resuming ? try await queue.cursor() : nil
        while !Task.isCancelled {
            do {
                let enumerator = Enumerator(
                    plan: plan, queue: queue, connection: connection, logger: logger, patience: patience,
                    order: order,
                    rangeRows: { self.rangeRows },
                    window: { self.pace.withLock { $0.window } })
                try await enumerator.enumerate(from: cursor)
                try await queue.waitUntilDrained()
                return
            } catch is GenerationLost {
                logger.warning("The queue has lost data; enumerating again under a fresh generation")
                cursor = nil
                try await queue.redraw()
            }
        }
    }

    /// Rows of the next range: where the pace is slow, no more than it allows in a quarter of a second, so that
    /// the job comes in small steps. The operator's own size stays.
    private var rangeRows: Int {
        let rows = pace.withLock { $0.sizer.rows }
        guard options.batchSize == nil, let rate = pacer.steps, rate > 0 else { return rows }
        return min(rows, max(10, Int(min(rate / 4, 1e6))))
    }

    private var patience: DatabasePatience {
        DatabasePatience(logger: logger, errors: metrics.connectionErrors)
    }

    /// - Parameter lockPatience: a job that is under way outlasts a statement that rewrites a large table.
    private func takeCensus(lockPatience: Duration = .seconds(600)) async throws -> Census {
        let logger = logger
        let hold = SnapshotHold(
            of: plan.tables, settings.named("reencrypt-secrets census"), lockPatience: lockPatience,
            definitionPatience: options.definitionPatience
        ) { logger.info("\($0)") }
        let keyIDs = plan.keyring.ids.map(\.description)
        let reading = try await patience.retrying("The census") {
            try await hold.census(keyIDs: keyIDs)
        }
        pending.withLock { $0 = reading.pending }
        metrics.remains(reading.finding, target: plan.targetKeyID)
        return reading.finding
    }

    /// Why the last census does not speak for all that the catalog's names lead to; nil where it does.
    private func whatWasNotRead() async throws -> String? {
        if let pending = pending.withLock({ $0.first }) {
            return SnapshotHoldError.pending(pending).description
        }
        let tables = plan.tables
        let change = try await patience.retrying("The last look at the tables") {
            try await connection.perform { try TableIdentity.change(of: tables, $0) }
        }
        return change.map { SnapshotHoldError.moved($0).description }
    }

    private func result(
        _ outcome: RotationResult.Outcome, _ before: Census, _ after: Census?
    ) async throws -> RotationResult {
        var progress = JobProgress()
        do {
            progress = try await queue.progress()
        } catch is GenerationLost {
            // The counters are gone with the queue's data; the censuses are what counts.
        } catch is JobCancelled {
            progress = pace.withLock { $0.lastProgress }
        }
        return RotationResult(outcome: outcome, before: before, after: after, progress: progress)
    }

    // MARK: Progress

    private func reportProgress() async {
        while !Task.isCancelled {
            do {
                // A size grows once a reading: at the usual interval small ranges would be a second's work.
                let isGrowing = pace.withLock { $0.isGrowing }
                try await Task.sleep(
                    for: isGrowing ? min(Self.growthInterval, progressInterval) : progressInterval)
            } catch {
                return
            }
            await observe()
        }
    }

    /// Reads the counters once: for the person who watches, and for the size of the next ranges.
    private func observe() async {
        let progress: JobProgress
        do {
            progress = try await queue.progress()
        } catch {
            return  // whoever works with the queue meets the same error and handles it
        }
        let reading = pace.withLock { pace in
            let cost = progress.cost - pace.cost
            pace.cost = progress.cost
            pace.readings += 1
            pace.sizer.record(
                rows: cost.rows, bytes: cost.bytes, seconds: cost.seconds,
                wasSplit: progress.splits > pace.splits)
            pace.splits = progress.splits
            let reading = pace.meter.read(progress, at: .now)
            pace.recordsPerSecond = reading.recordsPerSecond
            pace.lastProgress = progress
            return reading
        }
        observer.progressed(reading)
        await queue.publish(recordsPerSecond: reading.recordsPerSecond, remaining: reading.remaining)
    }
}
