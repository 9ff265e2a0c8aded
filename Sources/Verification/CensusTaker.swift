package import Catalog
import Envelope
package import Postgres

/// Counts every value of the catalog's columns by its label, in one read-only snapshot of one connection.
///
/// Labels with a canonical prefix are counted by the server; every other value is fetched and parsed. It
/// shares nothing with the worker, so that what it says about the worker's result is evidence.
package struct CensusTaker: Sendable {
    private let tables: [EncryptedTable]
    private let keyIDs: [String]

    /// Blocks a counting statement reads: 64 MB, well below a second of work.
    static let blocksPerCount = 8_192
    /// Bytes that a fetch of values to be parsed should bring.
    private static let fetchTarget = 4_000_000

    /// - Parameter keyIDs: ids that the server may recognise by a canonical prefix, the most frequent first;
    ///   others are found by parsing.
    package init(_ tables: [EncryptedTable], keyIDs: [String]) {
        self.tables = tables
        self.keyIDs = keyIDs
    }

    /// Takes the census over the reader's session of a held snapshot.
    package func take(_ session: PostgresSession) throws -> Census {
        var census = Census()
        for table in tables {
            for leaf in table.leaves {
                try count(table, leaf, CensusStatements(table, leaf, keyIDs: keyIDs), session, &census)
            }
        }
        return census
    }

    private func count(
        _ table: EncryptedTable, _ leaf: Leaf, _ statements: CensusStatements, _ session: PostgresSession,
        _ census: inout Census
    ) throws {
        var none = QueryParameters()
        let size = try session.query(statements.blockCount, &none)
        let blocks = try size.number(0, 0)
        try leaf.refuseRowsElsewhere(hidden: size.flag(0, 1))
        var start = 0
        var expectsFirstKey = true
        while start < blocks {
            let end = min(start + Self.blocksPerCount, blocks)
            try count(
                table, leaf, statements, blocks: start..<end, expectsFirstKey: &expectsFirstKey, session,
                &census)
            start = end
        }
    }

    /// Counts a stretch of a leaf; the caller's transaction must see one snapshot.
    /// - Parameter expectsFirstKey: whether all values were under the first key id in the stretch before. Then
    ///   they are asked for that alone, and told apart only where it does not hold.
    func count(
        _ table: EncryptedTable, _ leaf: Leaf, _ statements: CensusStatements, blocks: Range<Int>,
        expectsFirstKey: inout Bool, _ session: PostgresSession, _ census: inout Census
    ) throws {
        let place = Census.Place(leaf: leaf.oid, blocks: blocks)
        if expectsFirstKey {
            expectsFirstKey = try countFirstKey(table, statements, place, session, &census)
            if expectsFirstKey { return }
        }
        var range = Self.range(blocks.lowerBound, blocks.upperBound)
        let result = try session.query(statements.count, &range)
        var unlabelled = 0
        expectsFirstKey = true
        for row in 0..<result.rowCount {
            let rows = try result.number(row, table.columns.count)
            for (index, column) in table.columns.enumerated() {
                switch try result.number(row, index) {
                case CensusStatements.Code.null:
                    census.addNulls(rows, table: table.name, column: column.name)
                case CensusStatements.Code.unlabelled:
                    unlabelled += rows
                    expectsFirstKey = false
                case let code:
                    let keyID = keyIDs[code - CensusStatements.Code.firstKey]
                    census.add(rows, table: table.name, column: column.name, label: .key(keyID), at: place)
                    if code != CensusStatements.Code.firstKey { expectsFirstKey = false }
                }
            }
        }
        guard unlabelled > 0 else { return }
        let parsed = try parse(table, leaf, statements, session, blocks: blocks, &census)
        guard parsed == unlabelled else {
            throw PostgresError(
                .unexpectedAnswer,
                "\(table.name): \(unlabelled) values to parse, but \(parsed) came; the snapshot is not one")
        }
    }

    /// Counts a stretch whose values are all under the first key id.
    /// - Returns: false, and nothing is counted, where one of them is not.
    private func countFirstKey(
        _ table: EncryptedTable, _ statements: CensusStatements, _ place: Census.Place,
        _ session: PostgresSession, _ census: inout Census
    ) throws -> Bool {
        guard let keyID = keyIDs.first else { return false }
        var range = Self.range(place.blocks.lowerBound, place.blocks.upperBound)
        let result = try session.query(statements.countFirstKey, &range)
        let counts = try (0..<result.columnCount).map { try result.number(0, $0) }
        guard counts.count == 1 + 2 * table.columns.count else { return false }
        let tallies = table.columns.indices.map { (values: counts[1 + 2 * $0], labelled: counts[2 + 2 * $0]) }
        guard tallies.allSatisfy({ $0.values == $0.labelled }) else { return false }
        for (column, tally) in zip(table.columns, tallies) {
            let nulls = counts[0] - tally.values
            if nulls > 0 { census.addNulls(nulls, table: table.name, column: column.name) }
            guard tally.values > 0 else { continue }
            census.add(
                tally.values, table: table.name, column: column.name, label: .key(keyID), at: place)
        }
        return true
    }

    /// Fetches and parses what no label predicate claims. Gives how many values that were.
    private func parse(
        _ table: EncryptedTable, _ leaf: Leaf, _ statements: CensusStatements, _ session: PostgresSession,
        blocks: Range<Int>, _ census: inout Census
    ) throws -> Int {
        var fetchSize = 16
        var start = blocks.lowerBound
        var count = 0
        while start < blocks.upperBound {
            let end = min(start + fetchSize, blocks.upperBound)
            var range = Self.range(start, end)
            let result = try session.query(statements.unlabelled, &range)
            var bytes = 0
            for row in 0..<result.rowCount {
                for (index, column) in table.columns.enumerated() {
                    guard let value = result.bytes(row, index) else { continue }
                    count += 1
                    bytes += value.count
                    census.add(
                        1, table: table.name, column: column.name, label: Self.label(of: value),
                        at: Census.Place(leaf: leaf.oid, blocks: start..<end))
                }
            }
            fetchSize = bytes > Self.fetchTarget ? max(1, fetchSize / 2) : min(fetchSize * 2, 4_096)
            start = end
        }
        return count
    }

    private static func label(of value: UnsafeRawBufferPointer) -> Census.Label {
        do throws(EnvelopeError) {
            return .key(try ParsedEnvelope(parsing: value).keyID.description)
        } catch {
            return .unreadable
        }
    }

    private static func range(_ start: Int, _ end: Int) -> QueryParameters {
        var parameters = QueryParameters()
        parameters.append(int8: Int64(start))
        parameters.append(int8: Int64(end))
        return parameters
    }
}
