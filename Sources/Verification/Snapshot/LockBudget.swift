import Postgres

/// How many locks a reading may hold. The server's lock table is shared and of a fixed size; where it is full, the
/// application's statements fail.
enum LockBudget {
    /// Locks of relations and of their indexes, which planning takes as well; the table's size is a lower bound of what
    /// the server allocates. Half of what is free stays free for others.
    /// - Returns: how many sessions may hold the locks of all relations, at least one.
    /// - Throws: `SnapshotHoldError.tooManyLocks`.
    static func sessions(holding relations: [UInt32], _ session: PostgresSession) throws -> Int {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        let result = try session.query(
            """
            SELECT cardinality($1) + (SELECT count(*) FROM pg_index WHERE indrelid = ANY($1)), \
            current_setting('max_locks_per_transaction')::bigint * (current_setting('max_connections')::bigint \
            + current_setting('max_prepared_transactions')::bigint) \
            - (SELECT count(*) FROM pg_locks WHERE NOT fastpath)
            """, parameters)
        let (needed, free) = (try result.number(0, 0), try result.number(0, 1))
        // So few need no room in the shared table.
        if needed <= fastLocks { return .max }
        let sessions = max(0, free / 2) / needed
        guard sessions > 0 else {
            throw SnapshotHoldError.tooManyLocks(needed: needed, free: max(0, free / 2))
        }
        return sessions
    }

    /// Locks of a reader that a session keeps for itself (FP_LOCK_SLOTS_PER_BACKEND before PostgreSQL 18).
    private static let fastLocks = 16
}
