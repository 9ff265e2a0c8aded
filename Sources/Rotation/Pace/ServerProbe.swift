import BatchQueue
import Catalog
import Glibc
import Postgres

/// What the server is asked while a job runs: standbys, conditions that the job must not make worse, waits of
/// applications. Statements over catalogs and statistics alone; the operator's query is the one exception.
struct ServerProbe: Sendable {
    let limits: PaceLimits
    /// The catalog's tables by the oid that their gates are keyed by.
    let tables: [UInt32: String]
    /// Where the server keeps its data, where that can be seen from here.
    var dataDirectory: String?

    /// What a statement on statistics may take, in ms.
    private static let patience = "2s"
    /// How long a wait has to last before it is one: shorter ones are the way of things.
    private static let noticedWait = "50 ms"

    // MARK: Standbys

    static func standbys(
        _ session: PostgresSession
    ) throws(PostgresError) -> (position: Double, standbys: [StandbyReading]) {
        let result = try session.query(
            """
            SELECT (SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint), r.pid, coalesce(r.application_name, ''), \
            pg_wal_lsn_diff(r.replay_lsn, '0/0')::bigint, (extract(epoch FROM r.replay_lag) * 1000)::bigint \
            FROM (SELECT) one LEFT JOIN pg_stat_replication r \
            ON r.state IN ('streaming', 'catchup') AND r.replay_lsn IS NOT NULL
            """)
        let position = Double(try result.number(0, 0))
        var standbys: [StandbyReading] = []
        for row in 0..<result.rowCount {
            guard let pid = result.integer(row, 1), let replayed = result.integer(row, 3) else { continue }
            standbys.append(
                StandbyReading(
                    name: try result.text(row, 2), pid: pid, replayed: Double(replayed),
                    reportedLag: result.integer(row, 4).map { Double($0) / 1_000 }))
        }
        return (position, standbys)
    }

    // MARK: Guards

    func guardReading(_ session: PostgresSession) throws(PostgresError) -> GuardConditions.Reading {
        var reading = GuardConditions.Reading()
        reading.missingStandby = try Preflight.missingSynchronousStandby(session)
        if limits.guards.slotWAL != nil {
            let slots = try session.query(
                """
                SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint \
                FROM pg_replication_slots WHERE restart_lsn IS NOT NULL ORDER BY 2 DESC LIMIT 1
                """)
            if slots.rowCount == 1 { reading.slot = (try slots.text(0, 0), try slots.number(0, 1)) }
        }
        if limits.guards.archiveFailing != nil {
            reading.isArchivingFailing =
                try session.query(
                    """
                    SELECT current_setting('archive_mode') <> 'off' \
                    AND coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver
                    """
                ).flag(0, 0)
        }
        if limits.guards.horizonAge != nil { reading.horizons = try Self.horizons(session) }
        if let dataDirectory { reading.freeDisk = Self.freeBytes(at: dataDirectory) }
        return reading
    }

    /// A slot's catalog_xmin is left out: it does not bear on the tables of users. Nor do VACUUMs.
    private static func horizons(
        _ session: PostgresSession
    ) throws(PostgresError) -> [(holder: String, xmin: String, seconds: Double?)] {
        let result = try session.query(
            """
            SELECT 'the transaction of pid ' || pid || ' (application_name ' \
            || quote_literal(coalesce(application_name, '')) || ')', \
            coalesce(backend_xmin, backend_xid)::text, \
            extract(epoch FROM clock_timestamp() - xact_start)::bigint FROM pg_stat_activity \
            WHERE coalesce(backend_xmin, backend_xid) IS NOT NULL AND pid <> pg_backend_pid() \
            AND backend_type <> 'autovacuum worker' AND application_name NOT LIKE 'reencrypt-secrets%' \
            UNION ALL SELECT 'the prepared transaction ' || quote_literal(gid), transaction::text, \
            extract(epoch FROM clock_timestamp() - prepared)::bigint FROM pg_prepared_xacts \
            UNION ALL SELECT 'the replication slot ' || slot_name, xmin::text, NULL \
            FROM pg_replication_slots WHERE xmin IS NOT NULL
            """)
        return try (0..<result.rowCount).map { row throws(PostgresError) in
            (
                try result.text(row, 0), try result.text(row, 1),
                result.integer(row, 2).map { Double($0) }
            )
        }
    }

    static func freeBytes(at path: String) -> Int? {
        var room = statvfs()
        guard statvfs(path, &room) == 0 else { return nil }
        return Int(room.f_bavail) * Int(room.f_frsize)
    }

    // MARK: Applications

    struct LockWaits: Sendable {
        /// The catalog's table whose rows a statement of an application waits for.
        var table: String?
        /// Somebody waits for our VACUUM.
        var onVacuum = false
    }

    /// Whether somebody who is not of ours waits for a session of ours: one that holds a table's gate, which is
    /// in the middle of a range, or our VACUUM.
    func lockWaits(_ session: PostgresSession) throws(PostgresError) -> LockWaits {
        let result = try session.query(
            """
            WITH waiting AS MATERIALIZED (SELECT DISTINCT l.pid FROM pg_locks l \
            JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted \
            AND l.waitstart < clock_timestamp() - interval '\(Self.noticedWait)' \
            AND a.application_name NOT LIKE 'reencrypt-secrets%'), \
            blocking AS (SELECT DISTINCT unnest(pg_blocking_pids(pid)) AS pid FROM waiting) \
            SELECT (SELECT g.objid FROM pg_locks g WHERE g.pid = b.pid AND g.locktype = 'advisory' \
            AND g.classid = \(AdvisoryLock.gateClass)::oid AND g.objsubid = 2 LIMIT 1), \
            coalesce(a.application_name = '\(LeafVacuum.applicationName)', false) \
            FROM blocking b LEFT JOIN pg_stat_activity a USING (pid)
            """)
        var waits = LockWaits()
        for row in 0..<result.rowCount {
            if let oid = result.oid(row, 0), let table = tables[oid] { waits.table = table }
            if try result.flag(row, 1) { waits.onVacuum = true }
        }
        return waits
    }

    /// Why the operator's query holds the job; nil where it does not. It may change nothing.
    static func hold(by query: String, _ session: PostgresSession) throws -> String? {
        do {
            let holds = try session.transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY") { session in
                try session.query("SELECT set_config('statement_timeout', '\(patience)', true)")
                // Its names are the operator's, and mean what they mean to the role.
                let result = try session.underRolePath {
                    try session.query("SELECT (\(bare(query))\n)::boolean")
                }
                // No row and NULL hold nothing.
                return result.rowCount > 0 && result.bool(0, 0) == true
            }
            return holds ? "throttle-query" : nil
        } catch let error as PostgresError where !error.breaksConnection {
            return "throttle-query failed: \(error)"
        }
    }

    /// Without the semicolon that a query may end with.
    private static func bare(_ query: String) -> Substring {
        var text = query[...]
        while let last = text.last, last == ";" || last.isWhitespace { text.removeLast() }
        return text
    }
}
