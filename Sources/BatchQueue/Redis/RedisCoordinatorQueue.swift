package import Redis

/// The coordinator's side of a queue on Redis, for one job that it leads by PostgreSQL's locks.
///
/// Redis is expendable. Whatever it is behind of what it was, the generation is drawn again: old messages and
/// reports are refused from then on, and enumerating again is safe, since rows that are current are passed over.
package actor RedisCoordinatorQueue: CoordinatorQueue {
    private let connection: RedisConnection
    private let queue: QueueName
    private let job: JobDescription
    /// Names this leader; a frozen one that wakes has another.
    private let token: String
    private let onTrouble: @Sendable (RedisError) -> Void
    private let stillLeads: @Sendable () async -> Bool

    private var generation = ""
    private var pushes = 0
    private var sweep = 0
    private var cursorReached: EnumerationCursor?
    private var openingRecords = 0
    /// By Redis' clock, milliseconds since 1970; empty until the job was seen on the queue.
    package private(set) var startedAt: String
    package private(set) var isPaused: Bool
    private var highest = Mark()
    private var rate: Double?
    private var remaining: Duration?
    private var looksEmpty = 0

    /// What Redis may not fall behind of.
    private struct Mark {
        var nextSequence = 0
        var batchesDone = 0
    }

    /// What Redis holds of a job, and what it is told again where it has lost it.
    package struct JobDescription: Sendable {
        package let id: String
        /// The job's record, JSON, and its authentication code, hex.
        package let record: String
        package let recordCode: String
        package let targetKeyID: String
        package let mode: String
        package let tables: [String]
        /// Of a job that Redis lost before this process led it: by Redis' clock, milliseconds since 1970; empty for a new
        /// one.
        package let startedAt: String
        package let isPaused: Bool

        package init(
            id: String, record: String, recordCode: String, targetKeyID: String, mode: String,
            tables: [String], startedAt: String = "", isPaused: Bool = false
        ) {
            self.startedAt = startedAt
            self.isPaused = isPaused
            self.id = id
            self.record = record
            self.recordCode = recordCode
            self.targetKeyID = targetKeyID
            self.mode = mode
            self.tables = tables
        }
    }

    /// - Parameter stillLeads: whether PostgreSQL's locks are held at this moment. Redis follows them: what
    ///   looks like lost data may as well be the job of whoever leads now.
    package init(
        _ connection: RedisConnection, queue: QueueName, job: JobDescription,
        stillLeads: @escaping @Sendable () async -> Bool,
        onTrouble: @escaping @Sendable (RedisError) -> Void
    ) {
        self.stillLeads = stillLeads
        self.connection = connection
        self.queue = queue
        self.job = job
        startedAt = job.startedAt
        isPaused = job.isPaused
        self.onTrouble = onTrouble
        token = Self.randomNumber()
    }

    private static func randomNumber() -> String {
        // Never zero: an empty Redis must not look like a generation of ours.
        String(UInt64.random(in: 1...UInt64.max), radix: 16)
    }

    // MARK: The job

    /// Takes the queue for the job. Where Redis holds it already, its state is taken over.
    /// - Parameter seen: the job that was on the queue when this one was decided upon.
    /// - Returns: whether an enumeration of it can be gone on with.
    /// - Throws: `LeadershipTaken` where PostgreSQL's locks are not held any more, where another job has come since, and
    ///   where this one has ended.
    package func open(seen: String?) async throws -> Bool {
        let reply = try await takeQueue()
        let (shown, state) = (try reply[0].text(), try reply[8].text())
        if shown == job.id, RedisWorkerQueue.isRunning(state) {
            generation = try reply[1].text()
            highest = Mark(
                nextSequence: QueueCounter.bounded(try reply[2].text()),
                batchesDone: QueueCounter.bounded(try reply[3].text()))
            pushes = QueueCounter.bounded(try reply[4].text())
            cursorReached = try EnumerationCursor(json: reply[5].text())
            sweep = QueueCounter.bounded(try reply[10].text())
            startedAt = try reply[11].text()
            return !generation.isEmpty
        }
        let isAsSeen = shown == job.id ? state.isEmpty : shown.isEmpty || shown == seen
        guard isAsSeen else { throw LeadershipTaken() }
        try await beginJob()
        return false
    }

    /// Names this process as the leader, and tells what was on the queue. Redis may have been away for long before it
    /// answered: somebody else may have led since, and ended, so that nobody leads now.
    private func takeQueue() async throws -> [RedisReply] {
        guard await stillLeads() else { throw LeadershipTaken() }
        let reply = try await run(QueueScripts.lead, [.text(token)]).elements()
        guard await stillLeads() else { throw LeadershipTaken() }
        return reply
    }

    private func beginJob() async throws {
        let tables = try JSONText.encode(job.tables)
        try await demandLead(
            run(
                QueueScripts.beginJob,
                [
                    .text(token), .text(job.id), .text(job.record), .text(job.recordCode),
                    .text(job.targetKeyID), .text(job.mode), .text(startedAt), .text(isPaused ? "1" : "0"),
                    .text(tables),
                ]))
        highest = Mark()
    }

    /// Whether Redis names this coordinator as the leader of this job: nobody else has led since.
    /// - Throws: `LeadershipTaken` where it does not.
    package func confirmLead() async throws {
        let reply = try await run(QueueScripts.tick, ["", "", "", ""]).elements()
        let snapshot = try QueueSnapshot(tick: reply)
        guard snapshot.leader == token, snapshot.job == job.id else { throw LeadershipTaken() }
    }

    /// Ends the job with its report, for history.
    /// - Parameter state: `complete`, `incomplete`, `cancelled`.
    package func finish(_ state: String, report: String) async throws {
        try await restoringJob {
            try await demandLead(
                run(QueueScripts.finishJob, [.text(token), .text(state), .text(report), 20]))
        }
    }

    /// Shows a census: for each table, column and key id its records.
    package func show(census: [(group: [String?], records: Int)]) async throws {
        var arguments: [RedisArgument] = [.text(token)]
        for (group, records) in census {
            arguments.append(.text(try JSONText.encode(group)))
            arguments.append(.integer(records))
        }
        let all = arguments
        try await restoringJob { try await demandLead(run(QueueScripts.census, all)) }
    }

    // MARK: Sweeps

    package func beginSweep(oldRecords: Int) async throws {
        openingRecords = oldRecords
        let next = sweep + 1
        try await restoringJob { try await draw("sweep", sweep: next) }
    }

    package func redraw() async throws {
        try await restoreJob()
        try await restoringJob { try await draw("redraw", sweep: sweep) }
    }

    /// Repeats what Redis has lost the job for, or loses it once more meanwhile.
    private func restoringJob(_ body: () async throws -> Void) async throws {
        while true {
            do {
                return try await body()
            } catch is GenerationLost {
                try await restoreJob()
            }
        }
    }

    private func restoreJob() async throws {
        while true {
            do {
                let reply = try await takeQueue()
                // Other scripts may have written the state again, never when the job started.
                if try reply[0].text() != job.id || reply[11].text().isEmpty { try await beginJob() }
                return
            } catch is GenerationLost {
                // Lost again between the two.
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func draw(_ kind: String, sweep: Int) async throws {
        let fresh = Self.randomNumber()
        let reply = try await run(
            QueueScripts.beginSweep,
            [.text(token), .text(fresh), .text(kind), .integer(sweep), .integer(openingRecords)])
        try await demandLead(reply)
        if try reply.text() == "cancelled" { throw JobCancelled() }
        self.sweep = sweep
        generation = fresh
        pushes = 0
        cursorReached = nil
        highest = Mark()
        looksEmpty = 0
    }

    package func cursor() -> EnumerationCursor? { cursorReached }

    package func enqueue(_ ranges: [BatchRange], cursor: EnumerationCursor) async throws {
        try await push(ranges, cursor: cursor, isLast: false)
    }

    package func finishEnumeration() async throws {
        try await push([], cursor: cursorReached, isLast: true)
    }

    private func push(_ ranges: [BatchRange], cursor: EnumerationCursor?, isLast: Bool) async throws {
        var arguments: [RedisArgument] = [
            .text(token), .text(generation), .integer(pushes + 1), .text(try JSONText.encode(cursor)),
            isLast ? "1" : "0",
        ]
        for range in ranges {
            arguments += [.text(range.table), .integer(range.records), .text(try BatchMessage.body(range))]
        }
        switch try await run(QueueScripts.enqueue, arguments).text() {
        case "ok", "repeated":
            pushes += 1
            cursorReached = cursor
        case "not leader": throw try await lostLead()
        case "cancelled": throw JobCancelled()
        default: throw GenerationLost()
        }
    }

    package func beginVerification() async throws {
        _ = try await tick(state: "verifying")
    }

    package func publish(recordsPerSecond: Double?, remaining: Duration?) {
        rate = recordsPerSecond
        self.remaining = remaining
    }

    package func publish(_ pace: ClaimPace) async throws {
        let rate = pace.recordsPerSecond.map { "\(($0 * 1_000).rounded() / 1_000)" } ?? ""
        try await demandLead(run(QueueScripts.pace, [.text(token), .text(rate), .text(pace.reason)]))
    }

    package func rowsByLeaf() async throws -> [UInt32: Int] {
        let fields = try await RedisPatience.retrying(onTrouble) {
            try await connection.command(["HGETALL", .text(queue.key("leaf_rows"))]).fields()
        }
        var rows: [UInt32: Int] = [:]
        for (field, value) in fields {
            if let oid = UInt32(field) { rows[oid] = try value.integer() }
        }
        return rows
    }

    package func waitUntilDrained() async throws {
        while true {
            let progress = try await progress()
            if progress.enumerationDone && progress.batchesOutstanding == 0 { return }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    package func waitForRoom(below limit: Int) async throws {
        while try await progress().batchesOutstanding >= limit {
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    // MARK: Progress

    package func progress() async throws -> JobProgress { try await tick(state: "") }

    private func tick(state: String) async throws -> JobProgress {
        let reply = try await run(
            QueueScripts.tick,
            [
                .text(token), .text(rate.map { "\(Int(min($0, 1e15)))" } ?? ""),
                .text(remaining.map { "\(Int(min(($0 / .seconds(1)).rounded(.up), 1e15)))" } ?? ""),
                .text(state),
            ]
        ).elements()
        let snapshot = try QueueSnapshot(tick: reply)
        guard snapshot.job == job.id, !snapshot.startedAt.isEmpty,
            snapshot.generation == generation || generation.isEmpty,
            snapshot.nextSequence >= highest.nextSequence,
            snapshot.progress.batchesDone >= highest.batchesDone, snapshot.pushes >= pushes, snapshot.isWhole
        else { throw GenerationLost() }
        if snapshot.leader != token { throw LeadershipTaken() }
        highest = Mark(
            nextSequence: snapshot.nextSequence, batchesDone: snapshot.progress.batchesDone)
        startedAt = snapshot.startedAt
        isPaused = snapshot.isPaused
        // Pending by the counters, yet nothing in the list, again and again: messages were taken from it.
        looksEmpty = snapshot.progress.batchesPending > 0 && snapshot.pendingLength == 0 ? looksEmpty + 1 : 0
        if looksEmpty > 20 { throw GenerationLost() }
        if snapshot.state == "cancelled" { throw JobCancelled() }
        return snapshot.progress
    }

    private func demandLead(_ reply: RedisReply) async throws {
        if try reply.text() == "not leader" { throw try await lostLead() }
    }

    /// Redis names another leader: because it lost ours with its data, or because there is one.
    private func lostLead() async throws -> any Error {
        let reply = try await run(QueueScripts.tick, ["", "", "", ""]).elements()
        return try QueueSnapshot(tick: reply).job == job.id ? LeadershipTaken() : GenerationLost()
    }

    private func run(_ script: RedisScript, _ arguments: [RedisArgument]) async throws -> RedisReply {
        try await RedisPatience.retrying(onTrouble) {
            try await connection.run(script, keys: [queue.key("progress")], arguments: arguments)
        }
    }
}

/// Another coordinator leads the queue.
package struct LeadershipTaken: Error {
    package init() {}
}
