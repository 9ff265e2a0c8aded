import Catalog
import Postgres

/// Transactions that were under way when a snapshot was taken and have written to one of the tables: they may
/// commit an old value that no census has seen.
struct OpenTransactions: Sendable {
    private let transactionIDs: [String]
    private let relations: [UInt32]

    init(_ opening: SnapshotOpening) {
        transactionIDs = opening.openTransactionIDs
        relations = opening.tables.flatMap { table in table.leaves.map(\.oid) + [table.oid] }
    }

    /// Those that have neither committed nor been rolled back yet. Locks are visible to every role, and a
    /// writer's lock on its table lasts as long as its transaction, a prepared one included.
    func stillOpen(_ session: PostgresSession) throws -> [VerificationOutcome.OpenTransaction] {
        if transactionIDs.isEmpty { return [] }
        var parameters = QueryParameters()
        parameters.append(texts: transactionIDs)
        parameters.append(texts: relations.map(String.init))
        let result = try session.query(
            """
            SELECT x.transactionid::text, x.pid, coalesce(min(a.application_name), ''), \
            coalesce(min(a.usename::text), min(p.owner::text), ''), min(p.gid), \
            string_agg(DISTINCT r.relation::regclass::text, ', ') \
            FROM pg_locks AS x \
            JOIN pg_locks AS r ON r.virtualtransaction = x.virtualtransaction AND r.pid IS NOT DISTINCT FROM x.pid \
            AND r.locktype = 'relation' AND r.granted AND r.mode NOT IN ('AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock') \
            AND r.relation::text = ANY($2) \
            AND r.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
            LEFT JOIN pg_stat_activity AS a ON a.pid = x.pid \
            LEFT JOIN pg_prepared_xacts AS p ON p.transaction = x.transactionid AND x.pid IS NULL \
            WHERE x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock' AND x.granted \
            AND x.transactionid::text = ANY($1) GROUP BY x.transactionid::text, x.pid ORDER BY 1
            """, parameters)
        return try (0..<result.rowCount).map { row in
            VerificationOutcome.OpenTransaction(
                transactionID: try result.text(row, 0), pid: result.integer(row, 1),
                applicationName: try result.text(row, 2), user: try result.text(row, 3),
                preparedName: result.string(row, 4), tables: try result.text(row, 5))
        }
    }

    /// Sessions other than our own that are writing to a table now: `application_name (process 42, user u)`.
    static func writers(to table: EncryptedTable, _ session: PostgresSession) throws -> [String] {
        var parameters = QueryParameters()
        parameters.append(texts: (table.leaves.map(\.oid) + [table.oid]).map(String.init))
        let result = try session.query(
            """
            SELECT DISTINCT coalesce(nullif(a.application_name, ''), 'no application_name'), a.pid, \
            coalesce(a.usename::text, '') FROM pg_locks AS r JOIN pg_stat_activity AS a ON a.pid = r.pid \
            WHERE r.locktype = 'relation' AND r.relation::text = ANY($1) AND r.granted \
            AND r.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
            AND r.mode NOT IN ('AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock') \
            ORDER BY 1, 2 LIMIT 5
            """, parameters)
        return try (0..<result.rowCount).map { row in
            "\(try result.text(row, 0)) (process \(try result.number(row, 1)), user \(try result.text(row, 2)))"
        }
    }
}
