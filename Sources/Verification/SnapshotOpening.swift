import Catalog
import Postgres

/// A snapshot that has been taken, with everything about the database that is asked in it.
struct SnapshotOpening: Sendable {
    let name: String
    let database: DatabaseIdentity
    let tables: [EncryptedTable]
    let leaves: [RangeDispenser.Leaf]
    /// Transactions that were under way, by their 32-bit ids: what they write, the snapshot does not see. From
    /// the locks they hold on their own ids: the snapshot lists none that began after the last one to end.
    let openTransactionIDs: [String]
    /// What the snapshot sees, as text: the same again means that no transaction has ended since.
    let horizon: String
    let isFenced: Bool
    let instant: ContinuousClock.Instant

    /// Takes the snapshot; the transaction is left open.
    static func take(_ plan: VerificationPlan, _ session: PostgresSession) throws -> SnapshotOpening {
        let instant = ContinuousClock.now
        let name = try SharedSnapshot.export(session)
        let facts = try facts(session)
        // In the snapshot too: a partition that was attached since is looked at, or nothing is judged.
        let tables = try plan.resolveTables(session)
        var leaves: [RangeDispenser.Leaf] = []
        for table in tables {
            for leaf in table.leaves {
                let statements = DepthStatements(table, leaf)
                var none = QueryParameters()
                _ = try session.query(statements.hold, &none)
                let size = try session.query(statements.size, &none)
                leaves.append(
                    RangeDispenser.Leaf(
                        table: table, leaf: leaf, blocks: size.integer(0, 0) ?? 0,
                        bytesPerBlock: size.integer(0, 1) ?? 0))
            }
        }
        return SnapshotOpening(
            name: name, database: facts.database, tables: tables, leaves: leaves,
            openTransactionIDs: facts.openTransactionIDs, horizon: facts.horizon,
            isFenced: try plan.isFenced(tables, session),
            instant: instant)
    }

    private static func facts(
        _ session: PostgresSession
    ) throws -> (database: DatabaseIdentity, openTransactionIDs: [String], horizon: String) {
        // The position is asked after the snapshot was taken, so it lies behind everything that it sees. The
        // name of the current WAL file holds the timeline; the control file learns of it a checkpoint later.
        let result = try session.query(
            """
            SELECT current_database()::text, current_setting('server_version'), \
            CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE') \
            THEN (SELECT system_identifier FROM pg_control_system())::text END, \
            CASE WHEN NOT pg_is_in_recovery() \
            THEN ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint \
            WHEN has_function_privilege('pg_control_checkpoint()', 'EXECUTE') \
            THEN (SELECT timeline_id FROM pg_control_checkpoint())::bigint END, \
            pg_is_in_recovery(), \
            CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0') \
            ELSE pg_current_wal_insert_lsn() END::text, \
            to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), \
            (SELECT coalesce(string_agg(DISTINCT l.transactionid::text, ','), '') FROM pg_locks AS l \
            WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted), \
            pg_current_snapshot()::text
            """)
        guard let name = result.string(0, 0), let lsn = result.string(0, 5), let time = result.string(0, 6)
        else {
            throw PostgresError(.unexpectedAnswer, "the server did not say which database it is")
        }
        let database = DatabaseIdentity(
            name: name, serverVersion: result.string(0, 1) ?? "", systemIdentifier: result.string(0, 2),
            timeline: result.integer(0, 3), isStandby: result.bool(0, 4) ?? false, lsn: lsn,
            snapshotTime: time)
        let open = (result.string(0, 7) ?? "").split(separator: ",").map(String.init)
        return (database, open, result.string(0, 8) ?? "")
    }
}
