import BatchQueue
import Catalog
import Envelope
import Metrics
import Postgres
import Synchronization

/// The transaction: two groups of statements a range, more where a table stores what it likes.
extension RewrapLane {
    func rewrap(
        _ lease: Lease, _ leaf: PlannedLeaf, _ session: PostgresSession, _ cost: inout BatchCost,
        _ readAhead: (PostgresSession) throws -> Void
    ) throws -> RangeOutcome {
        guard let rewriter else { throw EnvelopeError(.cryptoUnavailable) }
        let range = lease.range
        if openedAhead != lease { try sendOpening(range, leaf, session) }
        openedAhead = nil
        let opened = try session.collect()
        guard opened.count == 5 else { throw PostgresError(.unexpectedAnswer, "a transaction began in part") }
        try checkServingProcess(opened[2].integer(0, 1))
        guard try opened[2].flag(0, 0) else {
            try session.query("ROLLBACK")
            return .handBack(
                after: .milliseconds(Int.random(in: 100...500)), blockedSince: range.blockedSince,
                cause: .unled, reason: "a new job is about to take the table")
        }
        guard try !opened[4].flag(0, 0) else {
            try session.query("ROLLBACK")
            return .handBack(
                after: .milliseconds(Int.random(in: 500...1_500)), blockedSince: range.blockedSince,
                cause: .unled, reason: "nobody leads this job")
        }

        let locked = opened[3]
        rewriter.begin(leaf.table.columns)
        defer { cost = BatchCost(rows: locked.rowCount, bytes: rewriter.bytesRead) }
        let sent =
            leaf.leaf.updateHooks.isEmpty
            ? try update(locked, leaf, rewriter, session)
            : try updateProvingWhatIsStored(locked, leaf, rewriter, session)
        metrics.cryptoSeconds.record(duration: rewriter.duration)
        return try finish(range, leaf, locked, sent, rewriter, session, readAhead)
    }

    /// Sends the statements that open a range's transaction and lock its rows.
    ///
    /// The gate before the rows, and the job's lock after them: a new job takes the gate alone once before it
    /// enumerates, so whoever gets past both belongs to a job that is still led.
    func sendOpening(_ range: BatchRange, _ leaf: PlannedLeaf, _ session: PostgresSession) throws {
        try send(TransactionSettings.begin, session)
        try send(TransactionSettings.path, session)
        try send(
            TransactionSettings.open(gate: .gate(leaf.table.lockOID), oid: leaf.table.lockOID), session)
        try send(leaf.statements.lockOld, range, session)
        try send(TransactionSettings.jobIsOver(plan.jobLock), session)
        try session.submit()
    }

    /// Opens the transaction of a range that needs no closer look beforehand; any other waits for its turn.
    func openAhead(_ next: Lease, _ session: PostgresSession) throws {
        guard let leaf = plan.leaf(next.range.leaf, of: next.range.table)?.ranged(by: next.range.kind),
            leaf.defect(of: next.range) == nil, next.crashes < Self.crashesThatSplit,
            !stop.withLock({ $0.isStopping })
        else { return }
        try sendOpening(next.range, leaf, session)
        openedAhead = next
    }

    /// Gives up every statement that is under way, and the transaction that was read ahead with them; its range
    /// begins afresh when its turn comes.
    func abandonWhatIsUnderWay(_ session: PostgresSession) throws {
        openedAhead = nil
        try session.discardSubmitted()
        try session.query("ROLLBACK")
    }

    /// What a transaction has sent between its opening and its end.
    struct SentUpdate {
        /// In the order of their answers.
        var statements: [Statement] = []
        /// Who the failed rows are, where that has been answered already.
        var identified: [PostgresResult] = []

        /// Whether the application's names are the ones that count at this point.
        var isUnderRolePath = false

        enum Statement {
            /// Gives the transaction another search_path.
            case path
            /// Asks who the failed rows are.
            case identify
            /// Updates so many rows.
            case update(rows: Int)
            /// Reads what is still old in the range.
            case readOld
        }
    }

    /// Rewrites the rows piece by piece: the server updates one while the client is at the next. Who the failed
    /// rows are is asked before the UPDATE gives them another ctid.
    func update(
        _ locked: PostgresResult, _ leaf: PlannedLeaf, _ rewriter: RowRewriter, _ session: PostgresSession
    ) throws -> SentUpdate {
        var sent = SentUpdate()
        var knownFailures = 0
        while rewriter.rewriteNext(locked, leaf.table.columns, bytes: Self.pieceBytes) {
            if rewriter.failures.count > knownFailures {
                try sendPath(PostgresSession.safePath, &sent, session)
                try sendIdentify(rewriter.failures[knownFailures...].map(\.row), locked, leaf, session)
                sent.statements.append(.identify)
                knownFailures = rewriter.failures.count
            }
            if rewriter.rows.count > 0 {
                try sendPath(session.rolePath, &sent, session)
                parameters.removeAll()
                rewriter.appendParameters(to: &parameters)
                try session.send(leaf.statements.update, &parameters)
                sent.statements.append(.update(rows: rewriter.rows.count))
            }
        }
        return sent
    }

    /// Changes the path for what follows in the transaction, where it is another one: the application's code that runs
    /// with our UPDATE, or with COMMIT, looks its names up as it is used to; our own statements never do.
    private func sendPath(_ path: String, _ sent: inout SentUpdate, _ session: PostgresSession) throws {
        let isRolePath = path == session.rolePath
        guard sent.isUnderRolePath != isRolePath else { return }
        parameters.removeAll()
        parameters.append(text: path)
        try session.send(PostgresSession.setLocalPath, &parameters)
        sent.statements.append(.path)
        sent.isUnderRolePath = isRolePath
    }

    /// The second group: the UPDATE (unless it has been made and proven already), what is still old in the range
    /// where something is missing, COMMIT. The opening of the next range stands behind it in a group of its own:
    /// what that comes to does not touch this one's answers.
    func finish(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ locked: PostgresResult, _ sent: SentUpdate,
        _ rewriter: RowRewriter, _ session: PostgresSession, _ readAhead: (PostgresSession) throws -> Void
    ) throws -> RangeOutcome {
        let rewrapped = rewriter.rewrittenRecords
        let counts = rewrapped + rewriter.failures.count < range.records
        var sent = sent
        if counts {
            // Deferred triggers of the application run at COMMIT.
            let returns = sent.isUnderRolePath
            try sendPath(PostgresSession.safePath, &sent, session)
            try send(leaf.statements.readOld, range, session)
            sent.statements.append(.readOld)
            if returns { try sendPath(session.rolePath, &sent, session) }
        }
        try send(TransactionSettings.commit, session)
        let sentAt = ContinuousClock.now
        try session.submit()
        try readAhead(session)

        let answers = try session.collect()
        metrics.commitSeconds.record(duration: ContinuousClock.now - sentAt)
        guard answers.count == sent.statements.count + 1, let committed = answers.last else {
            throw PostgresError(.unexpectedAnswer, "a transaction was answered in part")
        }
        var identified = sent.identified
        var stillOld = 0
        for (statement, answer) in zip(sent.statements, answers) {
            switch statement {
            case .path: break
            case .identify: identified.append(answer)
            case .readOld: stillOld = countOld(answer, leaf, rewriter)
            case .update(let rows):
                guard answer.affectedRows == rows else {
                    // Whatever was committed is well-formed; it is not counted, and splitting finds the row.
                    throw PostgresError(
                        .server, "the UPDATE of \(rows) locked rows changed \(answer.affectedRows)",
                        sqlState: SQLState("P0004"))
                }
            }
        }
        let failures = try records(rewriter.failures, locked, identified, leaf)
        guard committed.commandTag == "COMMIT" else {
            throw PostgresError(
                .server, "COMMIT was answered with \(committed.commandTag)",
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
        if now - since >= Self.stuckLimit {
            // Questions take their time, and the rows of a range that was read ahead must not wait for them.
            if openedAhead != nil { try abandonWhatIsUnderWay(session) }
            try endStuckSessions(leaf, session)
        }
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
    ) throws -> SentUpdate {
        var sent = SentUpdate()
        _ = rewriter.rewriteNext(locked, leaf.table.columns)
        // Any row may turn out to fail, and an updated row has another ctid.
        let all = locked.rowCount == 0 ? nil : try identify(Array(0..<locked.rowCount), locked, leaf, session)
        if let all { sent.identified.append(all) }
        parameters.removeAll()
        parameters.append(text: session.rolePath)
        _ = try session.query(PostgresSession.setLocalPath, &parameters)
        sent.isUnderRolePath = true
        var refused: [Int: String] = [:]
        while rewriter.rows.count > 0 {
            try session.query("SAVEPOINT proof")
            parameters.removeAll()
            rewriter.appendParameters(to: &parameters)
            let stored = try session.query(leaf.statements.updateReturning, &parameters)
            let differing = StoredValueProof.differingRows(rewriter, stored)
            if differing.isEmpty { break }
            try session.query("ROLLBACK TO SAVEPOINT proof")
            let hooks = leaf.leaf.updateHooks.joined(separator: ", ")
            for row in differing {
                refused[row] = "the table stores another value than it was sent (\(hooks))"
            }
            rewriter.begin(leaf.table.columns)
            _ = rewriter.rewriteNext(locked, leaf.table.columns, refused: refused)
        }
        return sent
    }
}
