package import Postgres

/// What tells one database from its copies.
package struct DatabaseFingerprint: Sendable, Hashable {
    package let name: String
    /// The same for all physical copies; nil where the role may not ask.
    package let systemIdentifier: String?
    /// The timeline that is being written, on a standby: replayed; nil where the role may not ask.
    package let timeline: Int?

    package init(name: String, systemIdentifier: String?, timeline: Int?) {
        self.name = name
        self.systemIdentifier = systemIdentifier
        self.timeline = timeline
    }

    package static func read(_ session: PostgresSession) throws(PostgresError) -> DatabaseFingerprint {
        let known = try session.query(
            """
            SELECT current_database(), pg_catalog.pg_is_in_recovery(),
                pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'),
                pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE')
                AND pg_catalog.has_function_privilege('pg_catalog.pg_control_recovery()', 'EXECUTE')
            """)
        var identifier: String?
        if known.bool(0, 2) == true {
            identifier = try session.query(
                "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
            ).string(0, 0)
        }
        return DatabaseFingerprint(
            name: known.string(0, 0) ?? "", systemIdentifier: identifier,
            timeline: try timeline(
                session, isStandby: known.bool(0, 1) == true, mayAskControl: known.bool(0, 3) == true))
    }

    /// The control file learns of a promotion with the next checkpoint only, so a primary is asked for the
    /// name of the file that it writes, which begins with the timeline in hex.
    private static func timeline(
        _ session: PostgresSession, isStandby: Bool, mayAskControl: Bool
    ) throws(PostgresError) -> Int? {
        if !isStandby {
            let file = try session.query(
                "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())")
            return file.string(0, 0).flatMap { Int($0.prefix(8), radix: 16) }
        }
        guard mayAskControl else { return nil }
        return try session.query(
            """
            SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)
            FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r
            """
        ).integer(0, 0)
    }
}
