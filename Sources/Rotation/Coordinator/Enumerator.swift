import BatchQueue
import Catalog
import Envelope
import Logging
import Postgres

/// Walks every leaf in the order of its ids or of its blocks, page by page, and pushes ranges of old rows onto the queue, no further ahead
/// of the workers than a window.
struct Enumerator: Sendable {
    let plan: JobPlan
    let queue: any CoordinatorQueue
    let connection: PostgresConnection
    let logger: Logger
    let patience: DatabasePatience
    let order: RowOrder
    /// Rows of the next range.
    let rangeRows: @Sendable () -> Int

    /// Ranges that may be outstanding before enumeration waits.
    let window: @Sendable () -> Int
    /// Ranges that go to the queue at once.
    private static let pushSize = 250
    static let largestPage = 20_000
    private static let pageBytes = 4_000_000
    /// 16 MiB of the usual blocks.
    private static let mostBlocks = 2_048

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
                try await enumerate(planned, from: skipsTo)
                skipsTo = nil
            }
        }
        if !Task.isCancelled { try await queue.finishEnumeration() }
    }

    private func enumerate(_ leaf: PlannedLeaf, from start: EnumerationCursor?) async throws {
        switch try await kind(of: leaf, from: start) {
        case .ids: try await enumerateByKey(leaf, after: start?.after)
        case .blocks: try await enumerateByPlace(leaf.ranged(by: .blocks), after: start?.after)
        }
    }

    private func enumerateByKey(_ leaf: PlannedLeaf, after start: [String]?) async throws {
        var cursor = start
        var rows = 1_000
        // The first page tells: a small leaf, and one that is swept once more, would be read twice.
        var isMostlyOld = false
        repeat {
            try await queue.waitForRoom(below: window())
            if Task.isCancelled { return }
            let page = try await read(leaf, after: cursor, rows: rows, inStrides: isMostlyOld)
            try await push(page, of: leaf, .ids)
            if Task.isCancelled { return }
            cursor = page.next
            isMostlyOld = page.oldRows >= rows / 4 * 3
            rows = page.bytes > Self.pageBytes ? max(100, rows / 2) : min(Self.largestPage, rows * 2)
        } while cursor != nil
    }

    /// Up to the end that the file has now: what is written behind it meanwhile is a sweep's business.
    private func enumerateByPlace(_ leaf: PlannedLeaf, after start: [String]?) async throws {
        let end = try await layout(of: leaf).blocks
        // A cursor that is no place was damaged: from the beginning, which costs time alone.
        let reached = start?.first.flatMap { RowPlace($0)?.block }
        var next = reached.map { Int($0) + 1 } ?? 0
        var blocks = 16
        repeat {
            try await queue.waitForRoom(below: window())
            if Task.isCancelled { return }
            let last = min(next + blocks, end) - 1
            guard last >= next, let first = UInt32(exactly: next), let last = UInt32(exactly: last) else {
                return try await push(.empty, of: leaf, .blocks)
            }
            let page = try await read(leaf, blocks: first...last, isLast: Int(last) + 1 >= end)
            try await push(page, of: leaf, .blocks)
            if Task.isCancelled || page.next == nil { return }
            next = Int(last) + 1
            blocks = page.bytes > Self.pageBytes ? max(1, blocks / 2) : min(Self.mostBlocks, blocks * 2)
        } while true
    }

    /// How to walk a leaf: as it was begun, else as the operator wants it.
    private func kind(of leaf: PlannedLeaf, from start: EnumerationCursor?) async throws -> BatchRange.Kind {
        if let start, start.after != nil { return start.kind }
        if order == .key { return .ids }
        let choice = OrderChoice(order, try await layout(of: leaf))
        logger.log(
            level: choice.isWhatWasAskedFor ? .info : .warning,
            "Order of \(leaf.leaf.sqlName): \(choice.kind == .ids ? "key" : "physical") (\(choice.reason))")
        return choice.kind
    }

    private func layout(of leaf: PlannedLeaf) async throws -> LeafLayout {
        let leaf = leaf.leaf
        return try await patience.retrying("The look at a table's size") {
            try await connection.perform { try LeafLayout(of: leaf, $0) }
        }
    }

    /// Pushes a page's ranges, each time with the cursor behind the last of them.
    private func push(_ page: OldRowPage, of leaf: PlannedLeaf, _ kind: BatchRange.Kind) async throws {
        var rest = page.ranges[...]
        repeat {
            let ranges = Array(rest.prefix(Self.pushSize))
            rest = rest.dropFirst(Self.pushSize)
            let reached = rest.isEmpty ? page.next ?? page.last : ranges.last?.last
            try await queue.enqueue(
                ranges, cursor: EnumerationCursor(leaf: leaf.leaf.oid, kind: kind, after: reached))
            if rest.isEmpty { return }
            try await queue.waitForRoom(below: window())
        } while !Task.isCancelled
    }

    /// - Parameter inStrides: most rows are expected to be old.
    private func read(
        _ leaf: PlannedLeaf, after cursor: [String]?, rows: Int, inStrides: Bool
    ) async throws -> OldRowPage {
        let (target, rangeRows) = (KeyIDBytes(plan.keyring.primary.id), rangeRows())
        return try await read { session in
            if inStrides,
                let page = try OldRowPage.read(
                    leaf, after: cursor, rows: rows, stride: rangeRows, target: target, session)
            {
                return page
            }
            return try OldRowPage.read(
                leaf, after: cursor, rows: rows, rangeRows: rangeRows, target: target, session)
        }
    }

    private func read(
        _ leaf: PlannedLeaf, blocks: ClosedRange<UInt32>, isLast: Bool
    ) async throws -> OldRowPage {
        let (target, rangeRows) = (KeyIDBytes(plan.keyring.primary.id), rangeRows())
        return try await read { session in
            try OldRowPage.read(
                leaf, blocks: blocks, isLast: isLast, rangeRows: rangeRows, target: target, session)
        }
    }

    /// Reads a page, trying again while the database is away: the cursor is here.
    private func read(
        _ page: @escaping @Sendable (PostgresSession) throws -> OldRowPage
    ) async throws -> OldRowPage {
        try await patience.retrying("Enumeration") {
            try await connection.transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY") { session in
                // Compiling a page's plan would take longer than the page.
                try session.query(
                    "SELECT set_config('row_security', 'off', true), set_config('jit', 'off', true)")
                return try page(session)
            }
        }
    }
}
