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
    let fencedKeyIDs: Set<String>
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
            fencedKeyIDs: try plan.fencedKeyIDs(tables, session),
            instant: instant)
    }

    private static func facts(
        _ session: PostgresSession
    ) throws -> (database: DatabaseIdentity, openTransactionIDs: [String], horizon: String) {
        // The position is asked after the snapshot was taken, so it lies behind everything that it sees.
        let database = try DatabaseIdentity.read(session)
        let result = try session.query(
            """
            SELECT (SELECT coalesce(string_agg(DISTINCT l.transactionid::text, ','), '') FROM pg_locks AS l \
            WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted), \
            pg_current_snapshot()::text
            """)
        let open = try result.text(0, 0).split(separator: ",").map(String.init)
        return (database, open, try result.text(0, 1))
    }
}
