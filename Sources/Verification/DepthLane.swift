import Catalog
import Envelope
import Postgres

/// Reads ranges of the snapshot over one session and opens their values with the target key alone, with a cipher of its
/// own: whatever it knows of the rotation is the key.
///
/// In memory are the values of the range it reads and of the one ahead; large values are fetched by themselves, a
/// few at a time.
struct DepthLane {
    private let work: DepthWork
    private var fetchSize: [UInt32: Int] = [:]
    private var parameters = QueryParameters()
    /// Whether the answer to the range asked for ahead is still to be collected.
    private var isAskedAhead = false
    /// That answer, where another question had to be asked behind it.
    private var keptAnswer: PostgresResult?

    /// Bytes that a fetch should bring: small enough to stay in the processor's cache until it is opened.
    private static let fetchTarget = 1_000_000

    init(_ work: DepthWork) {
        self.work = work
    }

    /// Reads ranges until there are none left. One is always read ahead, so that the server works on it
    /// while this lane opens the values of the one before.
    ///
    /// - Parameter session: in a transaction that sees the snapshot, with its locks.
    mutating func run(
        _ session: PostgresSession, onRange: (_ blocks: Int, _ records: Int) -> Void
    ) throws -> LaneTally {
        var reader = try ValueReader(work)
        var current = try request(session)
        while let range = current {
            try Task.checkCancellation()
            let ahead = try request(session)
            let result = try keptAnswer ?? answer(session)
            keptAnswer = nil
            isAskedAhead = ahead != nil
            var read = try self.read(result, range, &reader, session)
            for places in LargeRows(result, bytesCell: result.columnCount - 1, most: Self.fetchTarget) {
                try Task.checkCancellation()
                let large = try ask(work.statements[range.leaf].largeValues, places, session)
                guard large.rowCount == places.count else {
                    throw PostgresError(.unexpectedAnswer, "a row of the snapshot was not found again")
                }
                let more = try self.read(large, range, &reader, session)
                read = (read.records + more.records, read.bytes + more.bytes)
            }
            adapt(range, bytes: read.bytes)
            onRange(range.blocks.count, read.records)
            current = ahead
        }
        return reader.tally
    }

    private func answer(_ session: PostgresSession) throws -> PostgresResult {
        guard let result = try session.collect().last else {
            throw PostgresError(.unexpectedAnswer, "a range of values was answered with nothing")
        }
        return result
    }

    private mutating func read(
        _ result: PostgresResult, _ range: RangeDispenser.Range, _ reader: inout ValueReader,
        _ session: PostgresSession
    ) throws -> (records: Int, bytes: Int) {
        let read = try reader.read(result, leaf: range.leaf)
        if !reader.marks.isEmpty {
            let places = Set(reader.marks.map(\.row)).compactMap { result.bytes($0, 0).map { Array($0) } }
            let identified = try ask(work.statements[range.leaf].identify, places, session)
            try name(&reader, result, range, identified)
        }
        return read
    }

    /// Asks for rows by their places. Answers come in the order of the questions: the one to the range asked for
    /// ahead is kept until its turn.
    private mutating func ask(
        _ statement: PreparedStatement, _ places: [[UInt8]], _ session: PostgresSession
    ) throws -> PostgresResult {
        var rows = BinaryArray(of: .tid)
        for place in places { place.withUnsafeBytes { rows.append($0) } }
        parameters.removeAll()
        parameters.append(array: &rows)
        try session.send(statement, &parameters)
        try session.submit()
        if isAskedAhead {
            keptAnswer = try answer(session)
            isAskedAhead = false
        }
        return try answer(session)
    }

    private func name(
        _ reader: inout ValueReader, _ result: PostgresResult, _ range: RangeDispenser.Range,
        _ identified: PostgresResult
    ) throws {
        var ids: [[UInt8]: [String]] = [:]
        for row in 0..<identified.rowCount {
            guard let place = identified.bytes(row, 0) else { continue }
            ids[Array(place)] = try (1..<identified.columnCount).map { try identified.text(row, $0) }
        }
        reader.name(range.leaf) { row in result.bytes(row, 0).flatMap { ids[Array($0)] } ?? [] }
    }

    private mutating func request(_ session: PostgresSession) throws -> RangeDispenser.Range? {
        guard
            let range = work.dispenser.next({ leaf in
                fetchSize[leaf.leaf.oid] ?? max(1, min(64, Self.fetchTarget / max(1, leaf.bytesPerBlock)))
            })
        else { return nil }
        parameters.removeAll()
        parameters.append(int8: Int64(range.blocks.lowerBound))
        parameters.append(int8: Int64(range.blocks.upperBound))
        let statements = work.statements[range.leaf]
        if let since = work.since {
            parameters.append(text: String(since.lowestRunning))
            try session.send(statements.laterValues, &parameters)
        } else if let millionths = work.sampleMillionths {
            parameters.append(int8: Int64(millionths))
            try session.send(statements.sampledValues, &parameters)
        } else {
            try session.send(statements.values, &parameters)
        }
        try session.submit()
        return range
    }

    private mutating func adapt(_ range: RangeDispenser.Range, bytes: Int) {
        let oid = work.dispenser.leaves[range.leaf].leaf.oid
        let size = range.blocks.count
        if bytes > Self.fetchTarget {
            fetchSize[oid] = max(1, size / 2)
        } else if bytes * 2 < Self.fetchTarget {
            fetchSize[oid] = min(max(size, fetchSize[oid] ?? 1) * 2, 4_096)
        }
    }
}
