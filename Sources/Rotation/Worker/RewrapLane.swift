import BlockingIO
package import BatchQueue
import Catalog
import Envelope
package import Postgres
import Synchronization

/// One database connection that rewraps ranges: the only place where keys change rows. An actor on its
/// session's own thread; a range is one synchronous call, so a transaction is never suspended.
package actor RewrapLane {
    private let thread = ConnectionThread()
    private let plan: JobPlan
    private let settings: ConnectionSettings
    private var rewriter: RowRewriter?
    private var session: PostgresSession?
    /// The server process that served this session's first transaction.
    private var servingPID: Int?
    private var parameters = QueryParameters()
    /// For whoever has to end a statement that this lane waits for.
    private nonisolated let stop = Mutex(StopState())

    private struct StopState {
        var isStopping = false
        var cancelHandle: CancelHandle?
    }
    private var lastStuckCheck: ContinuousClock.Instant?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// How long a range may be kept by others' locks before it is given up.
    private static let blockedLimit: Int64 = 600_000
    /// How long before we suspect one of our own sessions to be the blocker.
    private static let stuckLimit: Int64 = 15_000
    /// A range that was in hand when so many workers were lost may be what they were lost by.
    private static let crashesThatSplit = 2
    private static let crashesThatFail = 5
    private static let readOnly = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"

    package init(_ plan: JobPlan, _ settings: ConnectionSettings) {
        self.plan = plan
        self.settings = settings
    }

    /// Rewraps one range in one transaction. Whatever happens, the outcome says what the queue is to be told;
    /// nothing is counted that the server has not confirmed.
    package func process(_ lease: Lease) -> RangeOutcome {
        let start = ContinuousClock.now
        var cost = BatchCost()
        var outcome = outcome(of: lease, &cost)
        cost.seconds = (ContinuousClock.now - start) / .seconds(1)
        if case .done(var result) = outcome {
            result.cost = cost
            outcome = .done(result)
        }
        return outcome
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
        session = nil
        rewriter = nil
    }

    private func outcome(of lease: Lease, _ cost: inout BatchCost) -> RangeOutcome {
        let range = lease.range
        guard let leaf = plan.leaf(range.leaf, of: range.table) else {
            return .bury(reason: "the range names a table that is not in this catalog")
        }
        guard range.first.count == leaf.statements.idCount, range.last.count == leaf.statements.idCount else {
            return .bury(reason: "the range's ids do not fit the table's id columns")
        }
        do {
            let session = try connectedSession()
            let isSingleRow = range.first == range.last
            if lease.crashes >= (isSingleRow ? Self.crashesThatFail : Self.crashesThatSplit) {
                return try split(
                    lease, leaf, session,
                    because: "workers were lost \(lease.crashes) times with this row in hand")
            }
            do {
                return try rewrap(range, leaf, session, &cost)
            } catch let error as PostgresError where !error.breaksConnection {
                try session.query("ROLLBACK")
                return try outcome(of: error, lease, leaf, session)
            }
        } catch let error as PostgresError {
            if error.breaksConnection { session = nil }
            return Self.outcomeWithoutSession(of: error, lease)
        } catch let refusal as Refusal {
            session = nil
            return .needsOperator(reason: refusal.description)
        } catch let error as EnvelopeError {
            return .needsOperator(reason: error.description)
        } catch {
            return .needsOperator(reason: "unexpected: \(type(of: error))")
        }
    }

    private func connectedSession() throws -> PostgresSession {
        if let session { return session }
        if rewriter == nil { rewriter = try RowRewriter(plan) }
        let session = try PostgresSession(connecting: settings)
        servingPID = nil
        self.session = session
        stop.withLock { $0.cancelHandle = session.cancelHandle }
        return session
    }

    // MARK: The transaction

    private func rewrap(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ session: PostgresSession,
        _ cost: inout BatchCost
    ) throws -> RangeOutcome {
        guard let rewriter else { throw EnvelopeError(.cryptoUnavailable) }
        let gate = AdvisoryLock.gate(leaf.table.lockOID)

        // The gate before the rows, and the job's lock after them: a new job takes the gate alone once before
        // it enumerates, so whoever gets past both belongs to a job that is still led.
        try send(TransactionSettings.begin, session)
        try send(TransactionSettings.open(gate: gate, oid: leaf.table.lockOID), session)
        try send(leaf.statements.lockOld, range, session)
        try send(TransactionSettings.jobIsOver(plan.jobLock), session)
        try session.submit()
        let opened = try session.collect()
        guard opened.count == 4 else { throw PostgresError(.unexpectedAnswer, "a transaction began in part") }
        try checkServingProcess(opened[1].integer(0, 1))
        guard opened[1].bool(0, 0) == true else {
            try session.query("ROLLBACK")
            return .handBack(
                after: .milliseconds(Int.random(in: 100...500)), blockedSince: range.blockedSince,
                cause: .unled, reason: "a new job is about to take the table")
        }
        guard opened[3].bool(0, 0) == false else {
            try session.query("ROLLBACK")
            return .handBack(
                after: .milliseconds(Int.random(in: 500...1_500)), blockedSince: range.blockedSince,
                cause: .unled, reason: "nobody leads this job")
        }

        let locked = opened[2]
        rewriter.rewrite(locked, leaf.table.columns)
        cost = BatchCost(rows: locked.rowCount, bytes: rewriter.bytesRead)
        var ids: PostgresResult?
        if rewriter.rows.count > 0 && !leaf.leaf.updateHooks.isEmpty {
            // Any row may turn out to fail, and an updated row has another ctid.
            ids = try identify((0..<locked.rowCount).map { $0 }, locked, leaf, session)
            try updateProvingWhatIsStored(locked, leaf, rewriter, session)
        }
        return try finish(range, leaf, locked, ids, rewriter, session)
    }

    /// The second round trip: who the failed rows are (before the UPDATE gives them another ctid), the UPDATE
    /// (unless it has been made and proven already), what is still old in the range where something is missing, COMMIT.
    private func finish(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ locked: PostgresResult, _ ids: PostgresResult?,
        _ rewriter: RowRewriter, _ session: PostgresSession
    ) throws -> RangeOutcome {
        let updates = rewriter.rows.count > 0 && leaf.leaf.updateHooks.isEmpty
        let identifies = !rewriter.failures.isEmpty && ids == nil
        let rewrapped = rewriter.rewrittenRecords
        let counts = rewrapped + rewriter.failures.count < range.records
        if identifies { try sendIdentify(rewriter.failures.map(\.row), locked, leaf, session) }
        if updates {
            parameters.removeAll()
            rewriter.appendParameters(to: &parameters)
            try session.send(leaf.statements.update, &parameters)
        }
        if counts { try send(leaf.statements.readOld, range, session) }
        try send(TransactionSettings.commit, session)
        try session.submit()
        var answers = try session.collect()[...]
        let identified = identifies ? answers.removeFirst() : ids
        if updates {
            let updated = answers.removeFirst().affectedRows
            guard updated == rewriter.rows.count else {
                // Whatever was committed is well-formed; it is not counted, and splitting finds the row.
                throw PostgresError(
                    .server, "the UPDATE of \(rewriter.rows.count) locked rows changed \(updated)",
                    sqlState: SQLState("P0004"))
            }
        }
        let failures = identified.map { records(rewriter.failures, locked, $0, leaf) } ?? []
        let stillOld = counts ? countOld(answers.removeFirst(), leaf, rewriter) : 0
        guard let committed = answers.first, committed.commandTag == "COMMIT" else {
            throw PostgresError(
                .server, "COMMIT was answered with \(answers.first?.commandTag ?? "nothing")",
                sqlState: SQLState("40000"))
        }
        if stillOld <= failures.count { return .done(BatchResult(rewrapped: rewrapped, failures: failures)) }
        return try outcomeOfBlocked(range, leaf, rewrapped: rewrapped, stillOld: stillOld, session)
    }

    /// Others hold locks in the range.
    private func outcomeOfBlocked(
        _ range: BatchRange, _ leaf: PlannedLeaf, rewrapped: Int, stillOld: Int, _ session: PostgresSession
    ) throws -> RangeOutcome {
        let now = WallClock.milliseconds
        let since = range.blockedSince ?? now
        if now - since >= Self.stuckLimit { try endStuckSessions(leaf, session) }
        guard rewrapped == 0 else {
            var remainder = range
            remainder.records = stillOld
            remainder.rows = min(range.rows, stillOld)
            remainder.blockedSince = since
            return .done(BatchResult(rewrapped: rewrapped, remainder: remainder))
        }
        if now - since >= Self.blockedLimit {
            return .bury(reason: "locked for 10 minutes by \(try blockers(range, leaf, session))")
        }
        let isLong = now - since >= Self.stuckLimit
        let who = isLong ? try blockers(range, leaf, session) : "others"
        return .handBack(
            after: Backoff.whileBlocked(since: since), blockedSince: since, cause: .locked,
            reason: "rows are locked by \(who)")
    }

    /// UPDATE with RETURNING where triggers or rules may store something else, inside a savepoint: rows that
    /// are not stored as they were sent are taken back and fail, the others go on.
    private func updateProvingWhatIsStored(
        _ locked: PostgresResult, _ leaf: PlannedLeaf, _ rewriter: RowRewriter, _ session: PostgresSession
    ) throws {
        var refused: [Int: String] = [:]
        while rewriter.rows.count > 0 {
            try session.query("SAVEPOINT proof")
            parameters.removeAll()
            rewriter.appendParameters(to: &parameters)
            let stored = try session.query(leaf.statements.updateReturning, &parameters)
            let differing = StoredValueProof.differingRows(rewriter, stored)
            if differing.isEmpty { return }
            try session.query("ROLLBACK TO SAVEPOINT proof")
            let hooks = leaf.leaf.updateHooks.joined(separator: ", ")
            for row in differing {
                refused[row] = "the table stores another value than it was sent (\(hooks))"
            }
            rewriter.rewrite(locked, leaf.table.columns, refused: refused)
        }
    }

    // MARK: Errors

    /// After ROLLBACK, by SQLSTATE.
    private func outcome(
        of error: PostgresError, _ lease: Lease, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> RangeOutcome {
        if error.isRetriable || error.needsOperator { return Self.outcomeWithoutSession(of: error, lease) }
        if error.sqlState == .queryCanceled, stop.withLock({ $0.isStopping }) {
            return .handBack(
                after: .zero, blockedSince: lease.range.blockedSince, cause: .stopping, reason: "stopping")
        }
        return try split(lease, leaf, session, because: "cannot be stored: \(error)")
    }

    /// Cuts a range in halves; a single row that spoils it becomes failed records.
    private func split(
        _ lease: Lease, _ leaf: PlannedLeaf, _ session: PostgresSession, because reason: String
    ) throws -> RangeOutcome {
        let rows = try session.transaction(Self.readOnly) { session in
            try session.query("SELECT set_config('row_security', 'off', true)")
            return try readRows(lease.range, leaf, session)
        }
        if rows.isEmpty { return .done(BatchResult(rewrapped: 0)) }
        if lease.range.first == lease.range.last {
            let failures = rows.flatMap { row in
                row.oldColumns.map { column, keyID in
                    RecordFailure(
                        table: leaf.table.name, id: row.id, column: leaf.table.columns[column].name,
                        keyID: keyID, reason: reason, range: Self.range(of: leaf, row.rangeID))
                }
            }
            return .done(BatchResult(rewrapped: 0, failures: failures))
        }
        return .split(RangeSplit.halves(of: lease.range, rows.map { ($0.rangeID, $0.oldColumns.count) }))
    }

    private static func outcomeWithoutSession(of error: PostgresError, _ lease: Lease) -> RangeOutcome {
        if error.needsOperator { return .needsOperator(reason: error.description) }
        return .handBack(
            after: Backoff.afterError(deliveries: lease.deliveries), blockedSince: lease.range.blockedSince,
            cause: .failure,
            reason: error.description)
    }

    /// A transaction pooler hands every transaction to another server process; session settings, advisory
    /// locks and prepared statements mean nothing behind it.
    private func checkServingProcess(_ pid: Int?) throws {
        if let servingPID, servingPID != pid {
            throw Refusal(
                description:
                    "the server process changed between two transactions: a transaction pooler stands "
                    + "between. Point DATABASE_URL at PostgreSQL itself, or at a pool in session mode")
        }
        servingPID = pid
    }

    private struct Refusal: Error {
        let description: String
    }

    // MARK: Statements

    private func send(_ statement: PreparedStatement, _ session: PostgresSession) throws {
        parameters.removeAll()
        try session.send(statement, &parameters)
    }

    private func send(
        _ statement: PreparedStatement, _ range: BatchRange, _ session: PostgresSession
    ) throws {
        setParameters(to: range)
        try session.send(statement, &parameters)
    }

    private func setParameters(to range: BatchRange) {
        parameters.removeAll()
        for id in range.first { parameters.append(text: id) }
        for id in range.last { parameters.append(text: id) }
    }

    private func identify(
        _ rows: [Int], _ locked: PostgresResult, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> PostgresResult? {
        try sendIdentify(rows, locked, leaf, session)
        try session.submit()
        return try session.collect().first
    }

    /// - Parameter lockedRows: by their number in `locked`, in ascending order; one may stand twice.
    private func sendIdentify(
        _ lockedRows: [Int], _ locked: PostgresResult, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws {
        var rows = BinaryArray(of: .tid)
        var last: Int?
        for row in lockedRows where row != last {
            if let ctid = locked.bytes(row, 0) { rows.append(ctid) }
            last = row
        }
        parameters.removeAll()
        parameters.append(array: &rows)
        try session.send(leaf.statements.identify, &parameters)
    }

    private func records(
        _ failures: [RowRewriter.Failure], _ locked: PostgresResult, _ identified: PostgresResult,
        _ leaf: PlannedLeaf
    ) -> [RecordFailure] {
        var ids: [[UInt8]: [String]] = [:]
        for row in 0..<identified.rowCount {
            guard let ctid = identified.bytes(row, 0) else { continue }
            ids[Array(ctid)] = leaf.table.idColumns.indices.map { identified.string(row, $0 + 1) ?? "" }
        }
        // The catalog's order of the id columns and the index's may differ.
        let order = leaf.leaf.rangeColumns.map { column in
            leaf.table.idColumns.firstIndex { $0.name == column.name } ?? 0
        }
        return failures.map { failure in
            let id = locked.bytes(failure.row, 0).flatMap { ids[Array($0)] } ?? []
            return RecordFailure(
                table: leaf.table.name, id: id, column: leaf.table.columns[failure.column].name,
                keyID: failure.keyID, reason: failure.reason,
                range: id.isEmpty ? nil : Self.range(of: leaf, order.map { id[$0] }))
        }
    }

    /// One row as a range.
    private static func range(of leaf: PlannedLeaf, _ rangeID: [String]) -> BatchRange {
        BatchRange(
            table: leaf.table.name, leaf: leaf.leaf.oid, first: rangeID, last: rangeID, records: 1, rows: 1)
    }

    /// How many records of a result (ctid, then the columns) are old, by parsing.
    private func countOld(_ result: PostgresResult, _ leaf: PlannedLeaf, _ rewriter: RowRewriter) -> Int {
        var count = 0
        for row in 0..<result.rowCount {
            for (index, column) in leaf.table.columns.enumerated() {
                if let value = result.bytes(row, index + 1), !rewriter.isCurrent(value, column.type) {
                    count += 1
                }
            }
        }
        return count
    }

    private struct OldRow {
        let rangeID: [String]
        let id: [String]
        /// Columns that hold an old value, with the key id it claims.
        let oldColumns: [(column: Int, keyID: String?)]
    }

    private func readRows(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> [OldRow] {
        guard let rewriter else { return [] }
        setParameters(to: range)
        let result = try session.query(leaf.statements.readOldWithIDs, &parameters)
        let ids = leaf.statements.idCount
        return (0..<result.rowCount).compactMap { row in
            var old: [(column: Int, keyID: String?)] = []
            for (index, column) in leaf.table.columns.enumerated() {
                if let value = result.bytes(row, 2 * ids + index), !rewriter.isCurrent(value, column.type) {
                    old.append((index, rewriter.label(of: value, column.type)))
                }
            }
            if old.isEmpty { return nil }
            return OldRow(
                rangeID: (0..<ids).map { result.string(row, $0) ?? "" },
                id: (0..<ids).map { result.string(row, ids + $0) ?? "" }, oldColumns: old)
        }
    }

    private func blockers(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> String {
        setParameters(to: range)
        let result = try session.query(leaf.statements.blockers, &parameters)
        let names = (0..<result.rowCount).map { row in
            "pid \(result.integer(row, 0) ?? 0) (application_name '\(result.string(row, 1) ?? "")', user "
                + "'\(result.string(row, 2) ?? "")', transaction open for \(result.integer(row, 3) ?? 0) s)"
        }
        return names.isEmpty ? "sessions that pg_locks does not show" : names.joined(separator: ", ")
    }

    private func endStuckSessions(_ leaf: PlannedLeaf, _ session: PostgresSession) throws {
        let now = ContinuousClock.now
        if let lastStuckCheck, now - lastStuckCheck < .seconds(5) { return }
        lastStuckCheck = now
        _ = try AdvisoryLock.endStuckSessions(at: .gate(leaf.table.lockOID), session)
    }
}
