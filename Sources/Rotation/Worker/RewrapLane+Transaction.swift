import BatchQueue
import Catalog
import Envelope
import Postgres

/// The transaction: two round trips a range, one more where a table stores what it likes.
extension RewrapLane {
    func rewrap(
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
    func finish(
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
    func outcomeOfBlocked(
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
    func updateProvingWhatIsStored(
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
}
