import Catalog
import Postgres

/// Everything about the database that is asked in a snapshot before its tables are read.
struct SnapshotOpening: Sendable {
    let database: DatabaseIdentity
    let tables: [EncryptedTable]
    let leaves: [RangeDispenser.Leaf]
    /// Transactions that were under way, by their 32-bit ids: what they write, the snapshot does not see. From
    /// the locks they hold on their own ids: the snapshot lists none that began after the last one to end.
    let openTransactionIDs: [String]
    /// What the snapshot sees: the same again means that no transaction has ended since.
    let horizon: TransactionHorizon
    let fencedKeyIDs: Set<String>
    /// Whether this role may read which transaction wrote a row's version.
    let showsWriters: Bool
    let instant: ContinuousClock.Instant

    /// - Parameter session: the reader's.
    static func take(
        _ plan: VerificationPlan, _ held: HeldSnapshot, _ session: PostgresSession
    ) throws -> SnapshotOpening {
        let facts = try facts(session)
        var leaves: [RangeDispenser.Leaf] = []
        for table in held.tables {
            for leaf in table.leaves {
                var none = QueryParameters()
                let size = try session.query(DepthStatements(table, leaf).size, &none)
                try leaf.refuseRowsElsewhere(hidden: size.flag(0, 2))
                leaves.append(
                    RangeDispenser.Leaf(
                        table: table, leaf: leaf, blocks: try size.number(0, 0),
                        bytesPerBlock: try size.number(0, 1)))
            }
        }
        return SnapshotOpening(
            database: facts.database, tables: held.tables, leaves: leaves,
            openTransactionIDs: facts.openTransactionIDs, horizon: facts.horizon,
            fencedKeyIDs: try plan.fencedKeyIDs(held.tables, session),
            showsWriters: try showsWriters(leaves.map(\.leaf.oid), session), instant: held.instant)
    }

    private static func showsWriters(_ leaves: [UInt32], _ session: PostgresSession) throws -> Bool {
        var parameters = QueryParameters()
        parameters.append(oids: leaves)
        return try session.query(
            """
            SELECT coalesce(bool_and(has_column_privilege(leaf, 'xmin', 'SELECT')), true) \
            FROM unnest($1) AS leaf
            """, parameters
        ).flag(0, 0)
    }

    private static func facts(
        _ session: PostgresSession
    ) throws -> (database: DatabaseIdentity, openTransactionIDs: [String], horizon: TransactionHorizon) {
        // The position is asked after the snapshot was taken, so it lies behind everything that it sees.
        let database = try DatabaseIdentity.read(session)
        let result = try session.query(
            """
            SELECT (SELECT coalesce(string_agg(DISTINCT l.transactionid::text, ','), '') FROM pg_locks AS l \
            WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted), \
            pg_current_snapshot()::text
            """)
        let open = try result.text(0, 0).split(separator: ",").map(String.init)
        return (database, open, try TransactionHorizon(try result.text(0, 1)))
    }
}
