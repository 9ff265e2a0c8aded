import BlockingIO
import Catalog
import Envelope
import Postgres

/// One connection that reads ranges of the snapshot and opens their values with the target key alone. An actor
/// on its session's own thread, with a cipher of its own: whatever it knows of the rotation is the key.
actor DepthLane {
    private let thread = ConnectionThread()
    private let settings: ConnectionSettings
    private let work: DepthWork
    private var fetchSize: [UInt32: Int] = [:]
    private var parameters = QueryParameters()

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Bytes that a fetch should bring: small enough to stay in the processor's cache until it is opened.
    private static let fetchTarget = 1_000_000

    init(_ settings: ConnectionSettings, _ work: DepthWork) {
        self.settings = settings
        self.work = work
    }

    /// Reads ranges until there are none left. One is always read ahead, so that the server works on it
    /// while this lane opens the values of the one before.
    func run(
        _ snapshot: String, onRange: @Sendable (_ blocks: Int, _ records: Int) -> Void
    ) throws -> LaneTally {
        let session = try PostgresSession(connecting: settings)
        try SharedSnapshot.follow(snapshot, session)
        var reader = try ValueReader(work)
        var current = try request(session)
        var fetched: PostgresResult?
        while let range = current {
            try Task.checkCancellation()
            let ahead = try request(session)
            let result = try fetched ?? answer(session)
            fetched = nil
            let read = try reader.read(result, leaf: range.leaf)
            adapt(range, bytes: read.bytes)
            if !reader.marks.isEmpty {
                try askForIDs(reader.marks, result, range, session)
                // Answers come in the order of the questions.
                if ahead != nil { fetched = try answer(session) }
                try name(&reader, result, range, try answer(session))
            }
            onRange(range.blocks.count, read.records)
            current = ahead
        }
        try SharedSnapshot.end(session)
        return reader.tally
    }

    private func answer(_ session: PostgresSession) throws -> PostgresResult {
        guard let result = try session.collect().last else {
            throw PostgresError(.unexpectedAnswer, "a range of values was answered with nothing")
        }
        return result
    }

    private func askForIDs(
        _ marks: [ValueReader.Mark], _ result: PostgresResult, _ range: RangeDispenser.Range,
        _ session: PostgresSession
    ) throws {
        var rows = BinaryArray(of: .tid)
        for row in Set(marks.map(\.row)) {
            if let row = result.bytes(row, 0) { rows.append(row) }
        }
        parameters.removeAll()
        parameters.append(array: &rows)
        try session.send(work.statements[range.leaf].identify, &parameters)
        try session.submit()
    }

    private func name(
        _ reader: inout ValueReader, _ result: PostgresResult, _ range: RangeDispenser.Range,
        _ identified: PostgresResult
    ) throws {
        var ids: [[UInt8]: [String]] = [:]
        for row in 0..<identified.rowCount {
            guard let place = identified.bytes(row, 0) else { continue }
            ids[Array(place)] = (1..<identified.columnCount).map { identified.string(row, $0) ?? "" }
        }
        reader.name(range.leaf) { row in result.bytes(row, 0).flatMap { ids[Array($0)] } ?? [] }
    }

    private func request(_ session: PostgresSession) throws -> RangeDispenser.Range? {
        guard
            let range = work.dispenser.next({ leaf in
                fetchSize[leaf.leaf.oid] ?? max(1, min(64, Self.fetchTarget / max(1, leaf.bytesPerBlock)))
            })
        else { return nil }
        parameters.removeAll()
        parameters.append(int8: Int64(range.blocks.lowerBound))
        parameters.append(int8: Int64(range.blocks.upperBound))
        let statements = work.statements[range.leaf]
        if let millionths = work.sampleMillionths {
            parameters.append(int8: Int64(millionths))
            try session.send(statements.sampledValues, &parameters)
        } else {
            try session.send(statements.values, &parameters)
        }
        try session.submit()
        return range
    }

    private func adapt(_ range: RangeDispenser.Range, bytes: Int) {
        let oid = work.dispenser.leaves[range.leaf].leaf.oid
        let size = range.blocks.count
        if bytes > Self.fetchTarget {
            fetchSize[oid] = max(1, size / 2)
        } else if bytes * 2 < Self.fetchTarget {
            fetchSize[oid] = min(max(size, fetchSize[oid] ?? 1) * 2, 4_096)
        }
    }
}
