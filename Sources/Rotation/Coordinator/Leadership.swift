import Catalog
package import Logging
package import Postgres

/// Leads a job: holds the advisory locks of its tables and of the job on a connection of its own, which is
/// touched often enough that the server ends it by itself where this process is frozen.
///
/// PostgreSQL is the fence. A worker's transaction commits only while the job's lock is held, so whoever
/// loses it stops changing rows, however late it notices.
package actor Leadership {
    private let connection: PostgresConnection
    private let plan: JobPlan
    private let queueLock: AdvisoryLock?
    private let logger: Logger
    private let errors: ConnectionErrors
    private var heldBy: Int?
    /// The server process of the session that was lost with the locks.
    private var lostPID: Int?
    /// When the locks were last known to be held by this process.
    package private(set) var lastProven = ContinuousClock.now
    private let onRetake: (@Sendable () async throws -> Void)?

    /// The server ends a leader's session that is silent for so long.
    private static let silenceLimit = "30s"
    /// How often the session is touched. Until its loss is noticed nobody leads, and no worker may write: often
    /// enough that work goes on within 5 s once the server is back.
    private static let touchInterval: Duration = .seconds(2)
    /// How long locks are tried for that a lost connection of our own may still hold.
    private static let retakeLimit: Duration = .seconds(45)
    /// A gap in which somebody else could have led, and ended, another job: longer ones are not bridged.
    private static let longestGap: Duration = .seconds(30)
    /// How long a new job waits for earlier transactions of workers; stuck ones are ended after 15 s.
    private static let gateLimit: Duration = .seconds(60)

    /// - Parameters:
    ///   - queueLock: of the queue on Redis that the job is led for.
    ///   - onRetake: is asked, after locks that were lost have been taken again, whether nobody else has led
    ///     meanwhile; throws where somebody has.
    package init(
        _ plan: JobPlan, queueLock: AdvisoryLock? = nil, _ settings: ConnectionSettings, _ logger: Logger,
        errors: ConnectionErrors = CoordinatorMetrics.none.connectionErrors,
        onRetake: (@Sendable () async throws -> Void)? = nil
    ) {
        self.onRetake = onRetake
        self.errors = errors
        self.plan = plan
        self.queueLock = queueLock
        self.logger = logger
        connection = PostgresConnection(settings)
    }

    /// Takes the lead, then lets every transaction of earlier workers end.
    /// - Throws: `tableIsLed` where another job leads one of the tables; `queueIsLed` where another
    ///   coordinator leads the queue.
    package func acquire() async throws {
        switch try await tryAcquire() {
        case .taken(let pid):
            heldBy = pid
            lastProven = .now
        case .refused(let refusal): throw refusal
        }
        try await passGates()
    }

    /// Keeps the lead while `body` runs.
    /// - Throws: the body's error; `leadershipLost`, which ends the body.
    package nonisolated func holding<R: Sendable>(
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        try await withThrowingTaskGroup(of: R?.self) { group in
            group.addTask {
                try await self.hold()
                return nil
            }
            group.addTask { try await body() }
            while let ended = try await group.next() {
                guard let result = ended else { continue }
                group.cancelAll()
                return result
            }
            throw CancellationError()
        }
    }

    /// Keeps the lead until cancelled.
    /// - Throws: `leadershipLost` where somebody else took a table while our connection was away.
    package func hold() async throws {
        while !Task.isCancelled {
            do {
                try await Task.sleep(for: Self.touchInterval)
            } catch {
                return
            }
            try await confirm()
        }
    }

    /// Proves that the locks are held now, taking them again where the connection was lost.
    /// - Throws: `leadershipLost`; what `onRetake` throws.
    package func confirm() async throws {
        let start = ContinuousClock.now
        while true {
            do {
                if try await isHeld() { return }
                let gap = ContinuousClock.now - lastProven
                if onRetake == nil, gap > Self.longestGap {
                    throw RotationError(
                        .leadershipLost,
                        "lost the lead: this process was away from the database for \(gap.components.seconds) s, in "
                            + "which another job may have run. Nothing is lost; run it again")
                }
                let refusal: RotationError
                let asked = ContinuousClock.now
                switch try await tryAcquire() {
                case .taken(let pid):
                    logger.warning("The leader's locks were lost and have been taken again")
                    // Until then they prove nothing: another job may have come and gone since they were lost.
                    try await onRetake?()
                    heldBy = pid
                    lastProven = asked
                    return
                case .refused(let reason): refusal = reason
                }
                if try await isHeldByLostSession() { lastProven = asked }
                if ContinuousClock.now - start > Self.retakeLimit {
                    throw RotationError(.leadershipLost, "lost the lead: \(refusal.message)")
                }
            } catch let error as PostgresError where error.isRetriable {
                errors.note(error)
                logger.warning("The leader's connection was lost", metadata: [LogKey.reason: "\(error)"])
                if ContinuousClock.now - start > Self.retakeLimit {
                    throw RotationError(.leadershipLost, "lost the lead: \(error)")
                }
            }
            try await Task.sleep(for: .milliseconds(Int.random(in: 100...1_000)))
        }
    }

    /// Whether the locks are held at this moment, without taking them again where they are not.
    package func isStillHeld() async -> Bool {
        do {
            return try await isHeld()
        } catch {
            return false
        }
    }

    /// Ends the lead with its connection.
    package func release() async {
        heldBy = nil
        await connection.close()
    }

    // MARK: Locks

    private enum Attempt {
        /// Everything was taken, by the session of this server process.
        case taken(pid: Int)
        /// Nothing is held.
        case refused(RotationError)
    }

    /// Leaves nobody's word for the lead: `heldBy` is nil afterwards.
    private func tryAcquire() async throws -> Attempt {
        let locks: [(lock: AdvisoryLock, table: EncryptedTable?)] =
            (queueLock.map { [($0, nil)] } ?? []) + plan.tables.map { (.table($0.lockOID), $0) }
            + [(plan.jobLock, nil)]
        let (pid, refusal) = try await connection.perform { session -> (Int, RotationError?) in
            try session.query("SELECT set_config('idle_session_timeout', '\(Self.silenceLimit)', false)")
            try session.query("SELECT pg_advisory_unlock_all()")
            for (lock, table) in locks where try !Self.tryAcquire(lock, session) {
                try session.query("SELECT pg_advisory_unlock_all()")
                switch lock {
                case .table, .gate: break
                case .queue, .job:
                    return (
                        session.backendPID,
                        RotationError(.queueIsLed, "another coordinator leads the queue")
                    )
                }
                let what = table.map { "table \($0.name)" } ?? "a lock"
                return (
                    session.backendPID,
                    RotationError(
                        .tableIsLed,
                        "\(what) is held by another rotation\(try Self.holder(of: lock, session)). Wait for it to end; "
                            + "if its process is gone, its lock ends within 30 s: run again then")
                )
            }
            return (session.backendPID, nil)
        }
        if refusal == nil { lostPID = nil } else if let heldBy { lostPID = heldBy }
        heldBy = nil
        return refusal.map(Attempt.refused) ?? .taken(pid: pid)
    }

    /// Workers that wait for a leader hold the job's lock for the moment of their probe: it is tried again for as
    /// long as a probe could stand in the way. One that is cut off in that moment would keep everybody from leading
    /// until the server ends its transaction, after 10 s: it is ended after half a second.
    private static func tryAcquire(_ lock: AdvisoryLock, _ session: PostgresSession) throws -> Bool {
        guard case .job = lock else { return try lock.tryAcquire(session) }
        for attempt in 1...150 {
            if try lock.tryAcquire(session) { return true }
            if attempt.isMultiple(of: 30) { try AdvisoryLock.endStrandedProbes(at: lock, session) }
            try session.query("SELECT pg_sleep(0.02)")
        }
        return false
    }

    private static func holder(of lock: AdvisoryLock, _ session: PostgresSession) throws -> String {
        guard case .table(let oid) = lock else { return "" }
        let result = try session.query(
            """
            SELECT a.pid, coalesce(a.application_name, '') FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
            WHERE l.locktype = 'advisory' AND l.granted AND l.classid = \(AdvisoryLock.tableClass)::oid \
            AND l.objid = \(oid)::oid AND l.objsubid = 2 LIMIT 1
            """)
        guard result.rowCount == 1 else { return "" }
        return
            " (server process \(try result.number(0, 0)), application_name '\(try result.text(0, 1))')"
    }

    private func isHeld() async throws -> Bool {
        guard let heldBy else { return false }
        // An answer that was long under way proves nothing of the time in between.
        let asked = ContinuousClock.now
        let locks =
            (queueLock.map { [$0] } ?? []) + plan.tables.map { AdvisoryLock.table($0.lockOID) }
            + [plan.jobLock]
        let isHeld = try await connection.perform { session in
            guard session.backendPID == heldBy else { return false }
            return try locks.allSatisfy { try $0.isHeld(by: session) }
        }
        if isHeld { lastProven = asked }
        return isHeld
    }

    /// Whether the session that this process led with, and has lost, still holds the job's lock on the server.
    private func isHeldByLostSession() async throws -> Bool {
        guard let lostPID else { return false }
        let lock = plan.jobLock
        return try await connection.perform { try lock.isHeld(byPID: lostPID, $0) }
    }

    /// Takes each gate alone once: every transaction that got through it before has ended then.
    private func passGates() async throws {
        for table in plan.tables {
            let gate = AdvisoryLock.gate(table.lockOID)
            let start = ContinuousClock.now
            while true {
                let passed = try await connection.perform { session in
                    guard try gate.tryAcquire(session) else {
                        _ = try AdvisoryLock.endStuckSessions(at: gate, session)
                        return false
                    }
                    try gate.release(session)
                    return true
                }
                if passed { break }
                if ContinuousClock.now - start > Self.gateLimit {
                    throw RotationError(
                        .tableIsLed,
                        "transactions of an earlier rotation on \(table.name) do not end, and may not be ended by this role; "
                            + "end them with pg_terminate_backend, or grant pg_signal_backend to this role")
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
