import BatchQueue
import Catalog
import Envelope
import Logging
import Postgres

/// Walks every leaf in id order, page by page, and pushes ranges of old rows onto the queue, no further ahead
/// of the workers than a window.
struct Enumerator: Sendable {
    let plan: JobPlan
    let queue: any CoordinatorQueue
    let connection: PostgresConnection
    let logger: Logger
    /// Rows of the next range.
    let rangeRows: @Sendable () -> Int

    /// Ranges that may be outstanding before enumeration waits.
    let window: @Sendable () -> Int
    /// Ranges that go to the queue at once.
    private static let pushSize = 250
    static let largestPage = 20_000
    private static let pageBytes = 4_000_000

    /// Enumerates all tables once, or what is left of them behind a cursor. Returns early where the task is
    /// cancelled.
    func enumerate(from start: EnumerationCursor?) async throws {
        // A leaf that is gone since, or was never there: from the beginning, which costs time alone.
        let isKnown = start.map { start in
            plan.tables.contains { $0.leaves.contains { $0.oid == start.leaf } }
        }
        var skipsTo = isKnown == true ? start : nil
        for table in plan.tables {
            if let oid = skipsTo?.leaf, !table.leaves.contains(where: { $0.oid == oid }) { continue }
            logger.info("Processing table: \(table.name)")
            for leaf in table.leaves {
                guard let planned = plan.leaf(leaf.oid, of: table.name) else { continue }
                if let oid = skipsTo?.leaf, oid != leaf.oid { continue }
                try await enumerate(planned, after: skipsTo?.after)
                skipsTo = nil
            }
        }
        if !Task.isCancelled { try await queue.finishEnumeration() }
    }

    private func enumerate(_ leaf: PlannedLeaf, after start: [String]?) async throws {
        var cursor = start
        var rows = 1_000
        repeat {
            try await queue.waitForRoom(below: window())
            if Task.isCancelled { return }
            let page = try await read(leaf, after: cursor, rows: rows)
            try await push(page, of: leaf)
            if Task.isCancelled { return }
            cursor = page.next
            rows = page.bytes > Self.pageBytes ? max(100, rows / 2) : min(Self.largestPage, rows * 2)
        } while cursor != nil
    }

    /// Pushes a page's ranges, each time with the cursor behind the last of them.
    private func push(_ page: OldRowPage, of leaf: PlannedLeaf) async throws {
        var rest = page.ranges[...]
        repeat {
            let ranges = Array(rest.prefix(Self.pushSize))
            rest = rest.dropFirst(Self.pushSize)
            let reached = rest.isEmpty ? page.next ?? page.last : ranges.last?.last
            try await queue.enqueue(ranges, cursor: EnumerationCursor(leaf: leaf.leaf.oid, after: reached))
            if rest.isEmpty { return }
            try await queue.waitForRoom(below: window())
        } while !Task.isCancelled
    }

    /// Reads a page, trying again while the database is away: the cursor is here.
    private func read(_ leaf: PlannedLeaf, after cursor: [String]?, rows: Int) async throws -> OldRowPage {
        let target = KeyIDBytes(plan.keyring.primary.id)
        let rangeRows = rangeRows()
        return try await DatabasePatience(logger: logger).retrying("Enumeration") {
            try await connection.transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY") { session in
                try session.query("SELECT set_config('row_security', 'off', true)")
                return try OldRowPage.read(
                    leaf, after: cursor, rows: rows, rangeRows: rangeRows, target: target, session)
            }
        }
    }
}
