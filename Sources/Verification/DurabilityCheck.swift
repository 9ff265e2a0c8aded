import Catalog
import Postgres

/// Whether everything up to a position of the WAL is on disk, here and on the standbys that could take over.
enum DurabilityCheck {
    /// - Parameter lsn: the server's own text form of a position.
    static func state(of lsn: String, _ session: PostgresSession) throws -> VerificationOutcome.Durability {
        var parameters = QueryParameters()
        parameters.append(text: lsn)
        var durability = VerificationOutcome.Durability()
        durability.isFlushedHere =
            try session.query("SELECT pg_current_wal_flush_lsn() >= $1::text::pg_lsn", parameters).flag(0, 0)
        // A logical subscriber holds no copy of the cluster, and a base backup is none yet.
        let standbys = try session.query(
            """
            SELECT coalesce(nullif(s.application_name, ''), s.client_addr::text, 'process ' || s.pid), \
            s.state IS NULL, coalesce(s.flush_lsn >= $1::text::pg_lsn, false) FROM pg_stat_replication AS s \
            WHERE s.state IS DISTINCT FROM 'backup' AND NOT EXISTS (SELECT FROM pg_replication_slots AS l \
            WHERE l.active_pid = s.pid AND l.slot_type = 'logical') ORDER BY 1
            """, parameters)
        for row in 0..<standbys.rowCount {
            if try standbys.flag(row, 1) {
                durability.hiddenStandbys += 1
            } else if try standbys.flag(row, 2) {
                durability.flushedStandbys += 1
            } else {
                durability.laggingStandbys.append(try standbys.text(row, 0))
            }
        }
        durability.absentStandbys = try absentStandbys(behind: lsn, session)
        return durability
    }

    /// Standbys that are known to exist though none of them is connected: by a slot that keeps WAL for one, or by
    /// commits that are to wait for one. A slot that was never used has no position; one that has lost its WAL, none
    /// any more.
    private static func absentStandbys(behind lsn: String, _ session: PostgresSession) throws -> [String] {
        var parameters = QueryParameters()
        parameters.append(text: lsn)
        let slots = try session.query(
            """
            SELECT slot_name::text FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active \
            AND (restart_lsn < $1::text::pg_lsn OR wal_status = 'lost') ORDER BY 1
            """, parameters)
        let absent = try (0..<slots.rowCount).map { row in
            "The standby of the replication slot \(try slots.text(row, 0)) is not connected and was last seen before \(lsn): start it, or drop the slot if the standby is gone."
        }
        return absent
            + (try Preflight.missingSynchronousStandby(session).map { ["The server: \($0)."] } ?? [])
    }

    /// Makes the WAL writer write on: without commits, the last part of a page stays in memory. A transaction
    /// that has an id and nothing else leaves a commit record, and changes nothing. It waits for no synchronous
    /// standby: one that is missing would keep it for ever.
    static func nudge(_ session: PostgresSession) throws {
        try session.transaction("BEGIN READ WRITE") { session in
            _ = try session.query(
                "SELECT pg_current_xact_id(), set_config('synchronous_commit', 'local', true)")
        }
    }
}
