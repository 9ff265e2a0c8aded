import Envelope
package import Postgres

/// A key of PostgreSQL's advisory locks. The two forms are separate spaces in the server; keys of either are
/// separate in every database.
package enum AdvisoryLock: Sendable, Hashable {
    /// Held by whoever leads a queue; its key is drawn from the queue's name.
    case queue(Int64)
    /// Held by whoever leads a job on the table; keyed by its topmost ancestor.
    case table(UInt32)
    /// Held, shared, by every worker's transaction on the table; taken exclusively once by a new job, so
    /// that it knows every earlier transaction to have ended.
    case gate(UInt32)
    /// Stands for one job; the key is drawn with it.
    case job(Int64)

    static let tableClass: Int32 = 0x5245_4E54
    static let gateClass: Int32 = 0x5245_4E47

    package static func newJob() -> AdvisoryLock {
        .job(Int64.random(in: 1...Int64.max))
    }

    /// The lock of a queue. Its key is never negative, as a job's is never: a collision of the two is as
    /// unlikely as any other.
    package static func queue(named name: String) throws -> AdvisoryLock {
        let digest = try Digest.sha256(Array("reencrypt-secrets queue \(name)".utf8))
        let number = digest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return .queue(Int64(number & UInt64(Int64.max)))
    }

    /// The arguments in SQL. They are constants: integers.
    package var arguments: String {
        switch self {
        case .table(let oid): "\(Self.tableClass), \(Int32(bitPattern: oid))"
        case .gate(let oid): "\(Self.gateClass), \(Int32(bitPattern: oid))"
        case .job(let key), .queue(let key): "\(key)::bigint"
        }
    }

    /// Takes the lock for the session where it is free.
    package func tryAcquire(_ session: PostgresSession) throws(PostgresError) -> Bool {
        try session.query("SELECT pg_try_advisory_lock(\(arguments))").flag(0, 0)
    }

    package func release(_ session: PostgresSession) throws(PostgresError) {
        try session.query("SELECT pg_advisory_unlock(\(arguments))")
    }

    /// Whether this session holds the lock, without touching it.
    package func isHeld(by session: PostgresSession) throws(PostgresError) -> Bool {
        try isHeld(byPID: "pg_backend_pid()", session)
    }

    /// Whether the server process holds the lock, without touching it.
    package func isHeld(byPID pid: Int, _ session: PostgresSession) throws(PostgresError) -> Bool {
        try isHeld(byPID: "\(pid)", session)
    }

    private func isHeld(byPID pid: String, _ session: PostgresSession) throws(PostgresError) -> Bool {
        let identity =
            switch self {
            case .table(let oid): "classid = \(Self.tableClass)::oid AND objid = \(oid)::oid AND objsubid = 2"
            case .gate(let oid): "classid = \(Self.gateClass)::oid AND objid = \(oid)::oid AND objsubid = 2"
            case .job(let key), .queue(let key):
                "classid = \(UInt32(truncatingIfNeeded: key >> 32))::oid AND objid = \(UInt32(truncatingIfNeeded: key))::oid AND objsubid = 1"
            }
        let sql = """
            SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = \(pid) \
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND \(identity)
            """
        return (try session.query(sql).number(0, 0)) > 0
    }

    /// Ends workers' sessions that have held the job's lock for more than the moment of a probe: each had found that
    /// nobody leads, so it has nothing to commit, and stands still or was cut off before it could roll back.
    package static func endStrandedProbes(
        at job: AdvisoryLock, _ session: PostgresSession
    ) throws(PostgresError) {
        guard case .job(let key) = job else { return }
        let (high, low) = (UInt32(truncatingIfNeeded: key >> 32), UInt32(truncatingIfNeeded: key))
        try session.query(
            """
            SELECT count(*) FILTER (WHERE pg_terminate_backend(l.pid)) FROM pg_locks l \
            JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ShareLock' \
            AND l.classid = \(high)::oid AND l.objid = \(low)::oid AND l.objsubid = 1 \
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
            AND l.pid <> pg_backend_pid() AND a.state_change < clock_timestamp() - interval '0.5 seconds'
            """)
    }

    /// Ends our own sessions that have held the table's gate for 15 s: a client that was stopped with a full
    /// socket outlives every time-out of the server. Gives how many were ended.
    package static func endStuckSessions(
        at gate: AdvisoryLock, _ session: PostgresSession
    ) throws(PostgresError) -> Int {
        guard case .gate(let oid) = gate else { return 0 }
        let sql = """
            SELECT count(*) FILTER (WHERE pg_terminate_backend(l.pid)) FROM pg_locks l \
            JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted \
            AND l.classid = \(Self.gateClass)::oid AND l.objid = \(oid)::oid AND l.objsubid = 2 \
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
            AND l.pid <> pg_backend_pid() AND a.xact_start < now() - interval '15 seconds'
            """
        return try session.query(sql).number(0, 0)
    }
}
