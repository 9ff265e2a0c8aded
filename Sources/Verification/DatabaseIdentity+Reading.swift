package import Postgres

extension DatabaseIdentity {
    /// Asks the server which database the session is in: one way for the verdict, the check of a report, and jobs.
    ///
    /// The control file learns of a promotion with the next checkpoint only, so a primary's timeline comes from the
    /// name of the file that it writes, which begins with the timeline in hex. A standby's is the later one of its
    /// last restart point and of what it must have replayed to be consistent.
    package static func read(_ session: PostgresSession) throws(PostgresError) -> DatabaseIdentity {
        let asked = try session.query(
            """
            SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'), \
            pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE') \
            AND pg_catalog.has_function_privilege('pg_catalog.pg_control_recovery()', 'EXECUTE')
            """)
        // A function that the role may not execute ends the statement even where its branch is not taken.
        let systemIdentifier =
            try asked.flag(0, 0)
            ? "(SELECT s.system_identifier FROM pg_catalog.pg_control_system() AS s)" : "NULL"
        let replayedTimeline =
            try asked.flag(0, 1)
            ? """
            (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) \
            FROM pg_catalog.pg_control_checkpoint() AS c, pg_catalog.pg_control_recovery() AS r)
            """ : "NULL"
        let answer = try session.query(
            """
            SELECT d.datname, d.oid, pg_catalog.current_setting('server_version'), (\(systemIdentifier))::text, \
            CASE WHEN pg_catalog.pg_is_in_recovery() THEN (\(replayedTimeline))::bigint \
            ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), \
            1, 8))::bit(32)::bigint END, pg_catalog.pg_is_in_recovery(), \
            (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
            ELSE pg_catalog.pg_current_wal_insert_lsn() END)::text, \
            pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') \
            FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
            """)
        return DatabaseIdentity(
            name: try answer.text(0, 0), oid: try answer.objectID(0, 1), serverVersion: try answer.text(0, 2),
            systemIdentifier: answer.string(0, 3), timeline: answer.integer(0, 4),
            isStandby: try answer.flag(0, 5), lsn: try answer.text(0, 6),
            snapshotTime: try answer.text(0, 7))
    }
}
