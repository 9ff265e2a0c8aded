import BatchQueue
import Catalog
import Envelope
import Logging
import Postgres
import Synchronization

/// Walks every leaf in id order, page by page, and pushes ranges of old rows onto the queue, no further ahead
/// of the workers than a window.
struct Enumerator: Sendable {
    let plan: JobPlan
    let queue: any BatchQueue
    let connection: PostgresConnection
    let logger: Logger
    /// Rows of the next range.
    let rangeRows: @Sendable () -> Int

    /// Ranges that may be outstanding before enumeration waits.
    static let window = 1_000
    static let largestPage = 20_000
    private static let pageBytes = 4_000_000
    private static let patience: Duration = .seconds(600)

    /// Enumerates all tables once. Returns early where the task is cancelled.
    func enumerate() async throws {
        for table in plan.tables {
            logger.info("Processing table: \(table.name)")
            for leaf in table.leaves {
                guard let planned = plan.leaf(leaf.oid, of: table.name) else { continue }
                try await enumerate(planned)
            }
        }
        if !Task.isCancelled { try await queue.finishEnumeration() }
    }

    private func enumerate(_ leaf: PlannedLeaf) async throws {
        var cursor: [String]?
        var rows = 1_000
        repeat {
            try await queue.waitForRoom(below: Self.window)
            if Task.isCancelled { return }
            let page = try await read(leaf, after: cursor, rows: rows)
            try await queue.enqueue(page.ranges)
            cursor = page.next
            rows = page.bytes > Self.pageBytes ? max(100, rows / 2) : min(Self.largestPage, rows * 2)
        } while cursor != nil
    }

    /// Reads a page, trying again while the database is away: the cursor is here.
    private func read(_ leaf: PlannedLeaf, after cursor: [String]?, rows: Int) async throws -> OldRowPage {
        let start = ContinuousClock.now
        let target = KeyIDBytes(plan.keyring.primary.id)
        let rangeRows = rangeRows()
        var attempt = 0
        while true {
            do {
                return try await connection.transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY") {
                    session in
                    try session.query("SELECT set_config('row_security', 'off', true)")
                    return try OldRowPage.read(
                        leaf, after: cursor, rows: rows, rangeRows: rangeRows, target: target, session)
                }
            } catch let error as PostgresError where error.isRetriable {
                attempt += 1
                logger.warning(
                    "Enumeration waits for the database",
                    metadata: [LogKey.reason: "\(error)", LogKey.attempt: "\(attempt)"])
                if ContinuousClock.now - start > Self.patience {
                    throw RotationError(.databaseAway, "enumeration failed for 10 minutes: \(error)")
                }
                try await Task.sleep(for: Backoff.afterError(deliveries: attempt))
            }
        }
    }
}
