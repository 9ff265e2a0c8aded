package import Redis

/// A worker's side of a queue on Redis, for one job.
///
/// A range is in this worker's hands from its claim until it has been told `counted`, `duplicate` or
/// `stale`; until then the report is repeated, whatever happens to the connection. Heartbeats keep its lease.
package actor RedisWorkerQueue: BatchQueue {
    package struct Identity: Sendable {
        /// Names the worker in Redis; different for every process.
        package let id: String
        package let host: String
        package let pid: Int
        package let version: String
        package let lanes: Int

        package init(id: String, host: String, pid: Int, version: String, lanes: Int) {
            self.id = id
            self.host = host
            self.pid = pid
            self.version = version
            self.lanes = lanes
        }
    }

    /// What the worker has done, for its own log and its entry among the workers.
    package struct Tally: Sendable, Hashable {
        package var rewrapped = 0
        package var failed = 0
        package var counted = 0
        package var duplicates = 0
        package var stale = 0
        package var refusedMessages = 0
    }

    /// What shows from outside whether this worker gets on.
    package enum Event: Sendable {
        /// Redis has answered a script; tries in vain before that do not count to its time.
        case answered(WorkerScript, after: Duration)
        /// A range has been handed out to a lane.
        case claimed(UInt64)
        /// A lane is through with a range: the database did what was asked, or could not.
        case finished(UInt64, databaseFailed: Bool)
    }

    private let connection: RedisConnection
    private let queue: QueueName
    private let job: String
    private let identity: Identity
    private let startedAt = WallClock.milliseconds
    private let onTrouble: @Sendable (RedisError) -> Void
    private let onFailure: @Sendable (RecordFailure) -> Void
    private let onEvent: @Sendable (Event) -> Void
    /// By sequence number: the lease, and the message that a report has to name.
    private var inHand: [UInt64: (lease: Lease, generation: String, message: [UInt8])] = [:]
    private var lastRate: (time: ContinuousClock.Instant, done: Int)?
    package private(set) var tally = Tally()

    package static let leaseDuration: Duration = .seconds(30)
    package static let heartbeatInterval: Duration = .seconds(10)
    /// Between two looks at a queue that has nothing for us.
    private static let shortestPause = 20
    private static let longestPause = 1_000

    /// - Parameters:
    ///   - job: claims end where the queue has another.
    ///   - onTrouble: is told why Redis could not be used, each time it is tried in vain.
    ///   - onEvent: must be quick.
    package init(
        _ connection: RedisConnection, queue: QueueName, job: String, identity: Identity,
        onTrouble: @escaping @Sendable (RedisError) -> Void,
        onFailure: @escaping @Sendable (RecordFailure) -> Void,
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.connection = connection
        self.queue = queue
        self.job = job
        self.identity = identity
        self.onTrouble = onTrouble
        self.onFailure = onFailure
        self.onEvent = onEvent
    }

    // MARK: Claims

    package func claim() async throws -> Lease? {
        var pause = Self.shortestPause
        while !Task.isCancelled {
            let reply: [RedisReply]
            do {
                reply = try await run(.claim, [1, milliseconds(Self.leaseDuration), .text(job)]).elements()
            } catch is CancellationError {
                return nil
            }
            let state = try reply[0].text()
            guard try reply[3].text() == job, Self.isRunning(state) else { return nil }
            tally.refusedMessages += try reply[5].integer()
            if reply.count >= 11, let lease = try await take(reply) { return lease }
            // Until the pace allows a claim; it may change meanwhile.
            let wait = min(try reply[6].integer(), Self.longestPause)
            do {
                try await Task.sleep(
                    for: .milliseconds(Int.random(in: wait > 0 ? wait...wait + wait / 10 : pause / 2...pause))
                )
            } catch {
                return nil
            }
            pause = wait > 0 ? Self.shortestPause : min(pause * 2, Self.longestPause)
        }
        return nil
    }

    static func isRunning(_ state: String) -> Bool {
        state == "enumerating" || state == "draining" || state == "verifying"
    }

    /// Gives up a message that is no range.
    private func refuse(_ message: [UInt8], _ sequence: UInt64, _ generation: String) async throws {
        tally.refusedMessages += 1
        let failure = RecordFailure(
            table: "?", id: ["message \(sequence)"], column: "*", keyID: nil,
            reason: "the queue holds a message that is no range: damaged, forged, or of another version")
        let arguments: [RedisArgument] = [
            .text(generation), .text("\(sequence)"), .bytes(message), .text(try FailureEntry.field(failure)),
            .text(try FailureEntry.value(failure, records: 0, isDead: true)),
        ]
        _ = try await run(.bury, arguments)
        onFailure(failure)
    }

    private func take(_ reply: [RedisReply]) async throws -> Lease? {
        let generation = try reply[4].text()
        let message = try reply[10].bytes()
        guard let sequence = UInt64(try reply[7].text()), let number = UInt64(generation, radix: 16) else {
            throw RedisError(.unexpectedAnswer, "a claim was answered with a number that is none")
        }
        let range: BatchRange
        do {
            range = try BatchMessage.range(message)
        } catch {
            // Booked like any other, yet no range: it would meet every worker in turn.
            try await refuse(message, sequence, generation)
            return nil
        }
        let lease = Lease(
            sequence: sequence, generation: number, range: range,
            deliveries: try reply[8].integer(), crashes: try reply[9].integer())
        inHand[sequence] = (lease, generation, message)
        onEvent(.claimed(sequence))
        return lease
    }

    // MARK: Reports

    package func acknowledge(_ lease: Lease, _ result: BatchResult) async throws -> AcknowledgeAnswer {
        let body = try result.remainder.map(BatchMessage.body) ?? ""
        let delay = Backoff.whileBlocked(since: result.remainder?.blockedSince)
        var arguments: [RedisArgument] = [
            .integer(result.rewrapped), .integer(result.failures.count), .text(body),
            .integer(result.remainder?.records ?? 0), milliseconds(delay), .integer(result.cost.rows),
            .integer(result.cost.bytes), .integer(Int(result.cost.seconds * 1_000_000)),
            .text("\(lease.range.leaf)"),
        ]
        for failure in result.failures {
            arguments.append(.text(try FailureEntry.field(failure)))
            arguments.append(.text(try FailureEntry.value(failure)))
        }
        onEvent(.finished(lease.sequence, databaseFailed: false))
        let answer = try await report(lease, .acknowledge, arguments)
        if answer == .counted {
            tally.rewrapped += result.rewrapped
            tally.failed += result.failures.count
            for failure in result.failures { onFailure(failure) }
        }
        return answer
    }

    package func handBack(
        _ lease: Lease, after delay: Duration, blockedSince: Int64?
    ) async throws -> AcknowledgeAnswer {
        // Rows that others have locked are an answer of the database, too.
        onEvent(.finished(lease.sequence, databaseFailed: blockedSince == nil))
        var body = ""
        if blockedSince != lease.range.blockedSince {
            var range = lease.range
            range.blockedSince = blockedSince
            body = try BatchMessage.body(range)
        }
        return try await report(
            lease, .handBack, [milliseconds(delay), .text(body), .integer(lease.deliveries)])
    }

    package func split(_ lease: Lease, into parts: [BatchRange]) async throws -> AcknowledgeAnswer {
        onEvent(.finished(lease.sequence, databaseFailed: false))
        let arguments = try parts.flatMap { part -> [RedisArgument] in
            [.integer(part.records), .text(try BatchMessage.body(part))]
        }
        return try await report(lease, .split, arguments)
    }

    package func bury(_ lease: Lease, reason: String) async throws -> AcknowledgeAnswer {
        onEvent(.finished(lease.sequence, databaseFailed: false))
        let failure = RecordFailure(buried: lease.range, reason: reason)
        let value = try FailureEntry.value(failure, records: lease.range.records, isDead: true)
        let answer = try await report(
            lease, .bury, [.text(try FailureEntry.field(failure)), .text(value)])
        if answer == .counted { onFailure(failure) }
        return answer
    }

    /// Repeats a report until it is answered, also where the task is cancelled: the rows are committed.
    private func report(
        _ lease: Lease, _ script: WorkerScript, _ arguments: [RedisArgument]
    ) async throws -> AcknowledgeAnswer {
        guard let held = inHand[lease.sequence], held.lease == lease else { return .duplicate }
        let all = [.text(held.generation), .text("\(lease.sequence)"), .bytes(held.message)] + arguments
        let deadline = ContinuousClock.now.advanced(by: .seconds(600))
        let answer = try await Task {
            var attempt = 0
            while true {
                do {
                    return try await self.runOnce(script, all).text()
                } catch let error as RedisError where error.isRetriable && .now < deadline {
                    attempt += 1
                    self.onTrouble(error)
                    try await Task.sleep(for: Backoff.afterError(deliveries: attempt))
                }
            }
        }.value
        inHand[lease.sequence] = nil
        switch answer {
        case "counted":
            tally.counted += 1
            return .counted
        case "duplicate":
            tally.duplicates += 1
            return .duplicate
        default:
            tally.stale += 1
            return .stale
        }
    }

    // MARK: Heartbeat

    /// Keeps leases and shows that this worker lives, until cancelled.
    package func keepAlive() async {
        while !Task.isCancelled {
            do {
                try await beat()
            } catch let error as RedisError {
                onTrouble(error)
            } catch {
                return
            }
            do {
                try await Task.sleep(for: Self.heartbeatInterval)
            } catch {
                return
            }
        }
    }

    /// One heartbeat, without patience: the next one comes soon.
    private func beat() async throws {
        let now = ContinuousClock.now
        let done = tally.rewrapped + tally.failed
        let rate = lastRate.map { Double(done - $0.done) / max((now - $0.time) / .seconds(1), 0.001) }
        lastRate = (now, done)
        var arguments: [RedisArgument] = [
            .text(identity.id), milliseconds(Self.leaseDuration), .text(identity.host),
            .integer(identity.pid), .text(identity.version), .integer(identity.lanes), .integer(done),
            .text(rate.map { "\(Int($0))" } ?? ""), .integer(Int(startedAt)),
        ]
        for (sequence, held) in inHand {
            arguments.append(.text("\(sequence)"))
            arguments.append(.integer(held.lease.deliveries))
        }
        _ = try await runOnce(.heartbeat, arguments)
    }

    /// Takes this worker out of the list of workers.
    package func retire() async throws {
        _ = try await connection.run(
            QueueScripts.retireWorker, keys: [queue.key("progress")], arguments: [.text(identity.id)])
    }

    private func run(_ script: WorkerScript, _ arguments: [RedisArgument]) async throws -> RedisReply {
        try await RedisPatience.retrying(onTrouble) { try await runOnce(script, arguments) }
    }

    private func runOnce(_ script: WorkerScript, _ arguments: [RedisArgument]) async throws -> RedisReply {
        let start = ContinuousClock.now
        let reply = try await connection.run(
            script.script, keys: [queue.key("progress")], arguments: arguments)
        onEvent(.answered(script, after: ContinuousClock.now - start))
        return reply
    }

    private func milliseconds(_ duration: Duration) -> RedisArgument {
        .integer(Int(duration / .milliseconds(1)))
    }
}
