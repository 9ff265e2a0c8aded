import BatchQueue
import Catalog
import Envelope
import Postgres

/// The statements around a range's rows, and what their answers say.
extension RewrapLane {
    func send(_ statement: PreparedStatement, _ session: PostgresSession) throws {
        parameters.removeAll()
        try session.send(statement, &parameters)
    }

    func send(
        _ statement: PreparedStatement, _ range: BatchRange, _ session: PostgresSession
    ) throws {
        setParameters(to: range)
        try session.send(statement, &parameters)
    }

    func setParameters(to range: BatchRange) {
        parameters.removeAll()
        for id in range.first { parameters.append(text: id) }
        for id in range.last { parameters.append(text: id) }
    }

    func identify(
        _ rows: [Int], _ locked: PostgresResult, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> PostgresResult? {
        try sendIdentify(rows, locked, leaf, session)
        try session.submit()
        return try session.collect().first
    }

    /// - Parameter lockedRows: by their number in `locked`, in ascending order; one may stand twice.
    func sendIdentify(
        _ lockedRows: [Int], _ locked: PostgresResult, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws {
        var rows = BinaryArray(of: .tid)
        var last: Int?
        for row in lockedRows where row != last {
            if let ctid = locked.bytes(row, 0) { rows.append(ctid) }
            last = row
        }
        parameters.removeAll()
        parameters.append(array: &rows)
        try session.send(leaf.statements.identify, &parameters)
    }

    func records(
        _ failures: [RowRewriter.Failure], _ locked: PostgresResult, _ identified: [PostgresResult],
        _ leaf: PlannedLeaf
    ) throws -> [RecordFailure] {
        if failures.isEmpty { return [] }
        var ids: [[UInt8]: [String]] = [:]
        for answer in identified {
            for row in 0..<answer.rowCount {
                guard let ctid = answer.bytes(row, 0) else { continue }
                ids[Array(ctid)] = try leaf.table.idColumns.indices.map { try answer.text(row, $0 + 1) }
            }
        }
        return failures.map { failure in
            let id = locked.bytes(failure.row, 0).flatMap { ids[Array($0)] } ?? []
            return RecordFailure(
                table: leaf.table.name, id: id, column: leaf.table.columns[failure.column].name,
                keyID: failure.keyID, reason: failure.reason,
                range: id.isEmpty ? nil : Self.range(of: leaf, id: id))
        }
    }

    /// One row as a range, by its id, which stays when the row moves.
    /// - Parameter id: in the catalog's order, which may differ from the index's.
    static func range(of leaf: PlannedLeaf, id: [String]) -> BatchRange {
        let rangeID = leaf.leaf.rangeColumns.map { column in
            id[leaf.table.idColumns.firstIndex { StoredName($0.name) == StoredName(column.name) } ?? 0]
        }
        return BatchRange(
            table: leaf.table.name, leaf: leaf.leaf.oid, first: rangeID, last: rangeID, records: 1, rows: 1)
    }

    /// How many records of a result (ctid, then the columns) are old, by parsing.
    func countOld(_ result: PostgresResult, _ leaf: PlannedLeaf, _ rewriter: RowRewriter) -> Int {
        var count = 0
        for row in 0..<result.rowCount {
            for (index, column) in leaf.table.columns.enumerated() {
                if let value = result.bytes(row, index + 1), !rewriter.isCurrent(value, column.type) {
                    count += 1
                }
            }
        }
        return count
    }

    struct OldRow {
        /// What a range's end at this row is.
        let end: [String]
        let id: [String]
        /// Columns that hold an old value, with the key id it claims.
        let oldColumns: [(column: Int, keyID: String?)]
    }

    func readRows(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> [OldRow] {
        guard let rewriter else { return [] }
        setParameters(to: range)
        let result = try session.query(leaf.statements.readOldWithIDs, &parameters)
        let (ends, ids) = (leaf.statements.endCount, leaf.statements.idCount)
        return try (0..<result.rowCount).compactMap { row in
            var old: [(column: Int, keyID: String?)] = []
            for (index, column) in leaf.table.columns.enumerated() {
                if let value = result.bytes(row, ends + ids + index), !rewriter.isCurrent(value, column.type)
                {
                    old.append((index, rewriter.label(of: value, column.type)))
                }
            }
            if old.isEmpty { return nil }
            return OldRow(
                end: try (0..<ends).map { try result.text(row, $0) },
                id: try (0..<ids).map { try result.text(row, ends + $0) }, oldColumns: old)
        }
    }

    func readIDs(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> [[String]] {
        setParameters(to: range)
        let result = try session.query(leaf.statements.readIDs, &parameters)
        return try (0..<result.rowCount).map { row in
            try (0..<leaf.statements.endCount).map { try result.text(row, $0) }
        }
    }

    func blockers(
        _ range: BatchRange, _ leaf: PlannedLeaf, _ session: PostgresSession
    ) throws -> String {
        setParameters(to: range)
        let result = try session.query(leaf.statements.blockers, &parameters)
        let names = try (0..<result.rowCount).map { row in
            "pid \(try result.number(row, 0)) (application_name '\(try result.text(row, 1))', user "
                + "'\(try result.text(row, 2))', transaction open for \(try result.number(row, 3)) s)"
        }
        return names.isEmpty ? "sessions that pg_locks does not show" : names.joined(separator: ", ")
    }

    func endStuckSessions(_ leaf: PlannedLeaf, _ session: PostgresSession) throws {
        let now = ContinuousClock.now
        if let lastStuckCheck, now - lastStuckCheck < .seconds(5) { return }
        lastStuckCheck = now
        _ = try AdvisoryLock.endStuckSessions(at: .gate(leaf.table.lockOID), session)
    }
}
