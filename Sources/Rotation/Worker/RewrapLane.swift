import BlockingIO
package import BatchQueue
import Catalog
import Envelope
import Metrics
package import Postgres
import Synchronization

/// One database connection that rewraps ranges: the only place where keys change rows. An actor on its
/// session's own thread; a range is one synchronous call, so a transaction is never suspended.
///
/// The opening of the next range's transaction is sent right behind a range's COMMIT, so that the server does
/// not wait for the client. Its rows are locked from then on: whoever gave the next range calls `process` with
/// it at once.
package actor RewrapLane {
    let thread = ConnectionThread()
    let plan: JobPlan
    let settings: ConnectionSettings
    let metrics: WorkerMetrics
    var rewriter: RowRewriter?
    var session: PostgresSession?
    /// The range whose transaction is being opened: its statements have been sent, their answers not been read.
    var openedAhead: Lease?
    /// The server process that served this session's first transaction.
    var servingPID: Int?
    var parameters = QueryParameters()
    /// For whoever has to end a statement that this lane waits for.
    nonisolated let stop = Mutex(StopState())

    struct StopState {
        var isStopping = false
        var cancelHandle: CancelHandle?
    }
    var lastStuckCheck: ContinuousClock.Instant?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// How long a range may be kept by others' locks before it is given up.
    static let blockedLimit: Int64 = 600_000
    /// How long before we suspect one of our own sessions to be the blocker.
    static let stuckLimit: Int64 = 15_000
    /// A range that was in hand when so many workers were lost may be what they were lost by.
    static let crashesThatSplit = 2
    static let crashesThatFail = 5
    /// What one UPDATE takes of a range: arrays beyond 128 KiB are memory that the server maps and gives back for
    /// each statement.
    static let pieceBytes = 80 * 1024
    static let readOnly = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"

    package init(_ plan: JobPlan, _ settings: ConnectionSettings, _ metrics: WorkerMetrics = .none) {
        self.metrics = metrics
        self.plan = plan
        self.settings = settings
    }

    /// Rewraps one range in one transaction. Whatever happens, the outcome says what the queue is to be told;
    /// nothing is counted that the server has not confirmed.
    /// - Parameter claimed: gives the range to read ahead, if one has been claimed; is asked at most once, when
    ///   the range in hand needs nothing more but its COMMIT.
    /// - Returns: the outcome, and the range that was taken from `claimed`: the caller's next call is for that.
    package func process(
        _ lease: Lease, ahead claimed: () -> Lease? = { nil }
    ) -> (outcome: RangeOutcome, next: Lease?) {
        let start = ContinuousClock.now
        var cost = BatchCost()
        var next: Lease?
        var outcome = outcome(of: lease, &cost) { [self] session in
            next = claimed()
            if let next { try openAhead(next, session) }
        }
        let duration = ContinuousClock.now - start
        cost.seconds = duration / .seconds(1)
        if case .done(var result) = outcome {
            metrics.batchSeconds.record(duration: duration)
            result.cost = cost
            outcome = .done(result)
        }
        return (outcome, next)
    }

    /// Cancels the statement that the lane is in, and makes the lane hand its range back: for a process that
    /// has to end soon. From any thread.
    package nonisolated func cancelStatement() {
        let handle = stop.withLock { state in
            state.isStopping = true
            return state.cancelHandle
        }
        do throws(PostgresError) {
            try handle?.cancel()
        } catch {
            // The statement's own time-out remains.
        }
    }

    /// Ends the session.
    package func close() {
        endSession()
        rewriter = nil
    }

    /// Rolls back whatever the server has not committed.
    func endSession() {
        session = nil
        openedAhead = nil
    }

    /// - Parameter readAhead: is called once COMMIT has been sent.
    func outcome(
        of lease: Lease, _ cost: inout BatchCost, _ readAhead: (PostgresSession) throws -> Void
    ) -> RangeOutcome {
        let range = lease.range
        guard let leaf = plan.leaf(range.leaf, of: range.table)?.ranged(by: range.kind) else {
            return .bury(reason: "the range names a table that is not in this catalog")
        }
        if let defect = leaf.defect(of: range) { return .bury(reason: defect) }
        do {
            if stop.withLock({ $0.isStopping }) {
                endSession()
                return Self.stopping(lease)
            }
            let session = try connectedSession()
            if openedAhead != nil, openedAhead != lease { try abandonWhatIsUnderWay(session) }
            let isSingleRow = range.first == range.last
            if lease.crashes >= (isSingleRow ? Self.crashesThatFail : Self.crashesThatSplit) {
                return try split(
                    lease, leaf, session,
                    because: "workers were lost \(lease.crashes) times with this row in hand")
            }
            do {
                return try rewrap(lease, leaf, session, &cost, readAhead)
            } catch let error as PostgresError where !error.breaksConnection {
                try abandonWhatIsUnderWay(session)
                return try outcome(of: error, lease, leaf, session)
            }
        } catch let error as PostgresError {
            metrics.connectionErrors.note(error)
            if error.breaksConnection { endSession() }
            return Self.outcomeWithoutSession(of: error, lease)
        } catch let refusal as Refusal {
            endSession()
            return .needsOperator(reason: refusal.description)
        } catch let error as EnvelopeError {
            endSession()
            return .needsOperator(reason: error.description)
        } catch {
            endSession()
            return .needsOperator(reason: "unexpected: \(type(of: error))")
        }
    }

    func connectedSession() throws -> PostgresSession {
        if let session { return session }
        if rewriter == nil { rewriter = try RowRewriter(plan) }
        let session = try PostgresSession(connecting: settings)
        servingPID = nil
        self.session = session
        stop.withLock { $0.cancelHandle = session.cancelHandle }
        return session
    }
}
