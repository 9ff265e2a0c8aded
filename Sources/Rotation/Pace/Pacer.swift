import BatchQueue
import Catalog
import Logging
import Postgres
import Synchronization

/// Looks at server, standbys and applications while a sweep runs, and tells the queue how fast to hand out.
/// What it decides is `PaceController`'s; here is when it looks, and on which connections.
final class Pacer: Sendable {
    private let queue: any CoordinatorQueue
    private let logger: Logger
    private let metrics: CoordinatorMetrics
    private let vacuum: LeafVacuum?
    /// Two, so that a slow look does not keep standbys from being watched.
    private let fast: PostgresConnection
    private let slow: PostgresConnection
    private let query: PostgresConnection
    private let state: Mutex<State>
    private let tables: [UInt32: String]

    private struct State {
        var limits: PaceLimits
        var probe: ServerProbe?
        var controller: PaceController
        var pace = ClaimPace.free
        var lastPublished: ContinuousClock.Instant?
        var lastNotice: ContinuousClock.Instant?
        var hasWarnedOfErrors = false
    }

    private static let fastInterval: Duration = .milliseconds(200)
    private static let slowInterval: Duration = .seconds(1)
    private static let republishInterval: Duration = .seconds(1)
    private static let noticeInterval: Duration = .seconds(15)

    init(
        _ limits: PaceLimits, _ plan: JobPlan, queue: any CoordinatorQueue, settings: ConnectionSettings,
        vacuum: LeafVacuum?, logger: Logger, metrics: CoordinatorMetrics
    ) {
        self.metrics = metrics
        self.queue = queue
        self.logger = logger
        self.vacuum = vacuum
        let settings = settings.named("reencrypt-secrets pace")
        fast = PostgresConnection(settings)
        slow = PostgresConnection(settings)
        query = PostgresConnection(settings)
        tables = Dictionary(
            plan.tables.map { ($0.lockOID, $0.name) }, uniquingKeysWith: { first, _ in first })
        state = Mutex(State(limits: limits, controller: PaceController(limits)))
    }

    /// Whether the limits can be kept.
    /// - Throws: `RotationError` where one that was asked for cannot.
    func prepare() async throws {
        let limits = state.withLock { $0.limits }
        let patience = DatabasePatience(logger: logger, errors: metrics.connectionErrors)
        let found = try await patience.retrying("The look at the limits") {
            try await slow.perform { session in
                let found = try PacePreflight.check(limits, session)
                return (found.limits, found.dataDirectory, found.leftOut)
            }
        }
        if let leftOut = found.2 { logger.warning("\(leftOut)") }
        state.withLock { state in
            state.limits = found.0
            state.probe = ServerProbe(limits: found.0, tables: tables, dataDirectory: found.1)
            state.controller = PaceController(found.0)
        }
    }

    /// Records a second of the limits that ask for small steps; nil: none.
    var steps: Double? { state.withLock { $0.controller.steps } }

    /// Looks once at everything, so that a pace stands before the first range.
    func start() async throws {
        guard let probe = state.withLock({ $0.probe }) else { return }
        if probe.limits.lag != nil { _ = try await lookAtStandbys() }
        try await lookAtServer(probe)
        if let text = probe.limits.throttleQuery { try await askQuery(text) }
        try await decide()
    }

    /// Keeps the pace until cancelled.
    /// - Throws: `serverAtRisk` where the job has to end for the server's sake.
    func run() async throws {
        guard let probe = state.withLock({ $0.probe }) else { return }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.everyFastInterval(probe) }
            group.addTask { try await self.everySlowInterval(probe) }
            if let text = probe.limits.throttleQuery {
                group.addTask { try await self.keepAskingQuery(text) }
            }
            // The first look that ends the job ends the others: waitForAll would wait for them.
            for try await _ in group {}
        }
    }

    /// Nothing is held back any more: the sweep is over.
    func release() async {
        state.withLock { $0.pace = .free }
        metrics.isThrottled(by: nil)
        do {
            try await queue.publish(.free)
        } catch {
            logger.debug("The pace could not be published", metadata: [LogKey.reason: "\(error)"])
        }
    }

    func close() async {
        await fast.close()
        await slow.close()
        await query.close()
    }

    // MARK: Looking

    private func everyFastInterval(_ probe: ServerProbe) async throws {
        while !Task.isCancelled {
            let hasStandbys = probe.limits.lag == nil ? false : try await lookAtStandbys()
            try await decide()
            let isSteered = hasStandbys || probe.limits.laneShare != nil
            try await Task.sleep(for: isSteered ? Self.fastInterval : Self.fastInterval * 2)
        }
    }

    private func everySlowInterval(_ probe: ServerProbe) async throws {
        while !Task.isCancelled {
            try await lookAtServer(probe)
            try await Task.sleep(for: Self.slowInterval)
        }
    }

    private func keepAskingQuery(_ text: String) async throws {
        while !Task.isCancelled {
            try await askQuery(text)
            try await Task.sleep(for: Self.slowInterval)
        }
    }

    /// - Returns: whether there are any.
    private func lookAtStandbys() async throws -> Bool {
        var hasStandbys = false
        try await tolerating {
            let (position, standbys) = try await fast.perform { try ServerProbe.standbys($0) }
            hasStandbys = !standbys.isEmpty
            let ignored = state.withLock {
                $0.controller.observe(standbys, position: position, now: .now)
            }
            for name in ignored {
                logger.warning(
                    "Standby \(name) is behind already and is not waited for; --max-lag would do so")
            }
        }
        return hasStandbys
    }

    private func lookAtServer(_ probe: ServerProbe) async throws {
        try await tolerating {
            let (reading, waits) = try await slow.perform { session in
                (try probe.guardReading(session), try probe.lockWaits(session))
            }
            state.withLock { state in
                state.controller.observe(reading, now: .now)
                state.controller.observe(lockWaitOn: waits.table)
            }
            if waits.onVacuum { vacuum?.yieldToOthers() }
        }
    }

    private func askQuery(_ text: String) async throws {
        try await tolerating {
            let reason = try await query.perform { try ServerProbe.hold(by: text, $0) }
            state.withLock { $0.controller.observe(queryHold: reason) }
        }
    }

    /// A look that fails leaves the last one standing: whoever works with the database meets the same error.
    private func tolerating(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as PostgresError {
            metrics.connectionErrors.note(error)
            let isFirst = state.withLock { state in
                defer { state.hasWarnedOfErrors = true }
                return !state.hasWarnedOfErrors
            }
            logger.log(
                level: isFirst ? .warning : .debug, "The server's load could not be looked at",
                metadata: [LogKey.reason: "\(error)"])
        }
    }

    // MARK: Deciding

    private func decide() async throws {
        do {
            let progress = try await queue.progress()
            state.withLock { $0.controller.observe(progress, now: .now) }
        } catch is GenerationLost {
            // Drawn again by whoever waits for the queue.
        } catch is JobCancelled {
            return
        }
        switch state.withLock({ $0.controller.decide() }) {
        case .stop(let reason):
            throw RotationError(.serverAtRisk, "ended for the server's sake: \(reason)")
        case .go(let pace, let cause):
            metrics.isThrottled(by: cause)
            try await publish(pace)
        }
    }

    private func publish(_ pace: ClaimPace) async throws {
        let now = ContinuousClock.now
        let (isDue, notice) = state.withLock { state -> (Bool, String?) in
            let isDue =
                pace != state.pace || state.lastPublished.map { now - $0 >= Self.republishInterval } ?? true
            state.pace = pace
            if isDue { state.lastPublished = now }
            guard !pace.reason.isEmpty,
                state.lastNotice.map({ now - $0 >= Self.noticeInterval }) ?? true
            else { return (isDue, nil) }
            state.lastNotice = now
            return (isDue, pace.recordsPerSecond == 0 ? "Held: \(pace.reason)" : "Throttled: \(pace.reason)")
        }
        if let notice { logger.info("\(notice)") }
        guard isDue else { return }
        do {
            try await queue.publish(pace)
        } catch is GenerationLost {
            // Published again once the queue is drawn anew.
        }
    }
}
