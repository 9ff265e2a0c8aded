package import BatchQueue
import Catalog
import Envelope
package import Logging
package import Postgres
package import Verification

/// What a run would do, found out by doing all of it but the writing: every old DEK is really unwrapped, in
/// one read-only snapshot, without a lock.
package struct DryRun: Sendable {
    package struct Result: Sendable {
        package let census: Census
        /// Old records that a run would rewrap.
        package let wouldRewrap: Int
        package let failed: Int
        /// False where the task was cancelled.
        package let isComplete: Bool
    }

    private let plan: JobPlan
    private let allowsUnknownKeys: Bool
    private let definitionPatience: Duration
    private let logger: Logger

    /// - Parameter definitionPatience: how long transactions are waited for that may attach a table.
    package init(
        _ plan: JobPlan, allowsUnknownKeys: Bool, definitionPatience: Duration, logger: Logger
    ) {
        self.plan = plan
        self.definitionPatience = definitionPatience
        self.allowsUnknownKeys = allowsUnknownKeys
        self.logger = logger
    }

    /// - Parameters:
    ///   - onBegin: forgets what was told before: where a table moved, all is read again.
    ///   - onRecord: is told each record that would be rewrapped: table, column, id, current key.
    ///   - onFailure: is told each record that would fail.
    package func run(
        _ settings: ConnectionSettings,
        onBegin: @escaping @Sendable () throws -> Void,
        onRecord:
            @escaping @Sendable (_ table: String, _ column: String, _ id: [String], _ keyID: String) -> Void,
        onFailure: @escaping @Sendable (RecordFailure) throws -> Void
    ) async throws -> Result {
        let logger = logger
        let hold = SnapshotHold(
            of: plan.tables, settings, definitionPatience: definitionPatience
        ) { logger.info("\($0)") }
        let reading = try await hold.read { held in
            try onBegin()
            return try await held.reader.perform { session in
                try examine(session, onRecord: onRecord, onFailure: onFailure)
            }
        }
        if let pending = reading.pending.first { throw SnapshotHoldError.pending(pending) }
        return reading.finding
    }

    private func examine(
        _ session: PostgresSession,
        onRecord: @escaping (_ table: String, _ column: String, _ id: [String], _ keyID: String) -> Void,
        onFailure: @escaping (RecordFailure) throws -> Void
    ) throws -> Result {
        let keyIDs = plan.keyring.ids.map(\.description)
        let census = try CensusTaker(plan.tables, keyIDs: keyIDs).take(session)
        try KeyPreflight(plan, allowsUnknownKeys: allowsUnknownKeys, logger).check(census, session)
        var examiner = try RecordExaminer(plan, onRecord: onRecord, onFailure: onFailure)
        for table in plan.tables {
            logger.info("Processing table: \(table.name)")
            for leaf in table.leaves {
                guard let planned = plan.leaf(leaf.oid, of: table.name) else { continue }
                try examiner.examine(planned, session)
            }
        }
        return Result(
            census: census, wouldRewrap: examiner.wouldRewrap, failed: examiner.failed,
            isComplete: !Task.isCancelled)
    }
}

/// Walks one leaf after the other and opens what a run would open.
private struct RecordExaminer {
    private let plan: JobPlan
    private let cipher: EnvelopeCipher
    private let onRecord: (String, String, [String], String) -> Void
    private let onFailure: (RecordFailure) throws -> Void
    private let target: KeyIDBytes
    private var rangeRows = BatchSizer(fixed: nil)
    private(set) var wouldRewrap = 0
    private(set) var failed = 0

    init(
        _ plan: JobPlan, onRecord: @escaping (String, String, [String], String) -> Void,
        onFailure: @escaping (RecordFailure) throws -> Void
    ) throws {
        self.plan = plan
        self.onRecord = onRecord
        self.onFailure = onFailure
        cipher = try EnvelopeCipher(keyring: plan.keyring)
        target = KeyIDBytes(plan.keyring.primary.id)
    }

    mutating func examine(_ leaf: PlannedLeaf, _ session: PostgresSession) throws {
        var cursor: [String]?
        repeat {
            let page = try OldRowPage.read(
                leaf, after: cursor, rows: Enumerator.largestPage / 4, rangeRows: rangeRows.rows,
                target: target,
                session)
            for range in page.ranges where !Task.isCancelled { try examine(range, leaf, session) }
            cursor = page.next
        } while cursor != nil && !Task.isCancelled
    }

    private mutating func examine(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws {
        var parameters = QueryParameters()
        for id in range.first + range.last { parameters.append(text: id) }
        let start = ContinuousClock.now
        let result = try session.query(leaf.statements.readOldWithIDs, &parameters)
        let ids = leaf.statements.idCount
        var bytes = 0
        for row in 0..<result.rowCount {
            for (index, column) in leaf.table.columns.enumerated() {
                guard let cell = result.bytes(row, 2 * ids + index) else { continue }
                bytes += cell.count
                let id = { try (0..<ids).map { try result.text(row, ids + $0) } }
                let current: String
                do throws(EnvelopeError) {
                    let envelope = column.type.envelope(in: cell)
                    guard case .old(let keyID) = try cipher.examine(envelope) else { continue }
                    if plan.mode == .reencrypt { try cipher.authenticate(envelope) }
                    current = keyID.description
                } catch {
                    failed += 1
                    try onFailure(
                        RecordFailure(
                            table: leaf.table.name, id: try id(), column: column.name,
                            keyID: error.keyID?.description, reason: error.description))
                    continue
                }
                wouldRewrap += 1
                onRecord(leaf.table.name, column.name, try id(), current)
            }
        }
        rangeRows.record(
            rows: result.rowCount, bytes: bytes, seconds: (ContinuousClock.now - start) / .seconds(1))
    }
}
