import BatchQueue
import Catalog
import Envelope
import Postgres
import Synchronization

/// What an error makes of a range, by its SQLSTATE.
extension RewrapLane {
    /// After ROLLBACK, by SQLSTATE.
    func outcome(
        of error: PostgresError, _ lease: Lease, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> RangeOutcome {
        if error.isRetriable || error.needsOperator { return Self.outcomeWithoutSession(of: error, lease) }
        if error.sqlState == .queryCanceled, stop.withLock({ $0.isStopping }) {
            return Self.stopping(lease)
        }
        return try split(lease, leaf, session, because: "cannot be stored: \(error)")
    }

    /// Cuts a range in halves; a single row that spoils it becomes failed records.
    func split(
        _ lease: Lease, _ leaf: PlannedLeaf, _ session: PostgresSession, because reason: String
    ) throws -> RangeOutcome {
        let rows: [OldRow]
        do {
            rows = try session.transaction(Self.readOnly) { session in
                try session.query("SELECT set_config('row_security', 'off', true)")
                return try readRows(lease.range, leaf, session)
            }
        } catch let error as PostgresError where !error.isRetriable && !error.needsOperator {
            return try splitUnread(lease, leaf, session, because: "\(reason); and cannot be read: \(error)")
        }
        if rows.isEmpty { return .done(BatchResult(rewrapped: 0)) }
        if lease.range.first == lease.range.last {
            let failures = rows.flatMap { row in
                row.oldColumns.map { column, keyID in
                    RecordFailure(
                        table: leaf.table.name, id: row.id, column: leaf.table.columns[column].name,
                        keyID: keyID, reason: reason, range: Self.range(of: leaf, id: row.id))
                }
            }
            return .done(BatchResult(rewrapped: 0, failures: failures))
        }
        return .split(RangeSplit.halves(of: lease.range, rows.map { ($0.end, $0.oldColumns.count) }))
    }

    /// Cuts a range whose values cannot be read, by its ids alone; the part that is left as a single row, or whose
    /// ids cannot be read either, is given up.
    func splitUnread(
        _ lease: Lease, _ leaf: PlannedLeaf, _ session: PostgresSession, because reason: String
    ) throws -> RangeOutcome {
        if lease.range.first == lease.range.last { return .bury(reason: reason) }
        do {
            let ids = try session.transaction(Self.readOnly) { session in
                try session.query("SELECT set_config('row_security', 'off', true)")
                return try readIDs(lease.range, leaf, session)
            }
            if ids.isEmpty { return .done(BatchResult(rewrapped: 0)) }
            // How many of them are old, nobody can tell: those that are not are superseded.
            return .split(RangeSplit.halves(of: lease.range, ids.map { ($0, leaf.table.columns.count) }))
        } catch let error as PostgresError where !error.isRetriable && !error.needsOperator {
            return .bury(reason: reason)
        }
    }

    static func stopping(_ lease: Lease) -> RangeOutcome {
        .handBack(
            after: .zero, blockedSince: lease.range.blockedSince, cause: .stopping, reason: "stopping")
    }

    static func outcomeWithoutSession(of error: PostgresError, _ lease: Lease) -> RangeOutcome {
        if error.needsOperator {
            let advice =
                error.sqlState == .insufficientPrivilege
                ? "; grant the role what is missing; `reencrypt-secrets catalog check` lists it" : ""
            return .needsOperator(reason: error.description + advice)
        }
        return .handBack(
            after: Backoff.afterError(deliveries: lease.deliveries), blockedSince: lease.range.blockedSince,
            cause: .failure,
            reason: error.description)
    }

    /// A transaction pooler hands every transaction to another server process; session settings, advisory
    /// locks and prepared statements mean nothing behind it.
    func checkServingProcess(_ pid: Int?) throws {
        if let servingPID, servingPID != pid {
            throw Refusal(
                description:
                    "the server process changed between two transactions: a transaction pooler stands "
                    + "between. Point DATABASE_URL at PostgreSQL itself, or at a pool in session mode")
        }
        servingPID = pid
    }

    struct Refusal: Error {
        let description: String
    }
}
