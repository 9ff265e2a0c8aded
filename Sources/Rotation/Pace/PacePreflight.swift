import Postgres

/// Whether what the limits are about can be seen by this role from here.
enum PacePreflight {
    /// - Returns: the limits, without those of a profile that cannot be seen, and the server's data directory
    ///   where the disk is to be watched; what was left out, for the log.
    /// - Throws: `needsOperator` for a limit that was asked for and cannot be kept.
    static func check(
        _ limits: PaceLimits, _ session: PostgresSession
    ) throws -> (limits: PaceLimits, dataDirectory: String?, leftOut: String?) {
        var limits = limits
        var leftOut: String?
        let readsStatistics =
            try session.query("SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')").bool(0, 0)
            ?? false
        if let lag = limits.lag, !readsStatistics {
            let hidden = try session.query("SELECT count(*) FROM pg_stat_replication").number(0, 0)
            if lag.isExplicit && (hidden > 0 || !lag.standbys.isEmpty) {
                throw RotationError(
                    .needsOperator,
                    "--max-lag: this role may not see how far standbys are; GRANT pg_read_all_stats to it")
            }
            limits.lag = nil
            if hidden > 0 {
                leftOut =
                    "Standbys are not watched: this role may not see how far they are. GRANT pg_read_all_stats to it"
            }
        }
        if limits.guards.horizonAge != nil, !readsStatistics {
            throw RotationError(
                .needsOperator,
                "--max-horizon-age: this role may not see other sessions; GRANT pg_read_all_stats to it")
        }
        let directory = limits.guards.freeDisk == nil ? nil : try dataDirectory(session)
        return (limits, directory, leftOut)
    }

    /// PostgreSQL tells nobody how much room its disk has; the file system does, on the server's own machine.
    private static func dataDirectory(_ session: PostgresSession) throws -> String {
        let what = "--min-free-disk: the server's disk cannot be seen from here"
        guard try session.query("SELECT inet_server_addr() IS NULL").flag(0, 0) else {
            throw RotationError(
                .needsOperator,
                "\(what): SQL does not tell, and this is not the server's machine. Run the coordinator there, "
                    + "connected by its unix socket, or watch the disk by other means and use --throttle-query"
            )
        }
        let result = try session.query(
            """
            SELECT CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') \
            THEN current_setting('data_directory') END
            """)
        guard let path = result.string(0, 0) else {
            throw RotationError(
                .needsOperator, "\(what): GRANT pg_read_all_settings to this role, which data_directory needs"
            )
        }
        guard ServerProbe.freeBytes(at: path) != nil else {
            throw RotationError(
                .needsOperator,
                "\(what): this user may not look at \(path), or the server runs in another container")
        }
        return path
    }
}
