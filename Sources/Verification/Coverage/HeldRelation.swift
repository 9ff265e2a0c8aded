import Catalog
import Postgres

/// A relation under the lock of a reader, by the names that it has then: what is read by name is the relation that
/// was meant, whoever renames, moves or swaps tables meanwhile.
struct HeldRelation {
    private let oid: UInt32
    private let session: PostgresSession
    private static let attempts = 5
    /// A statement that was cancelled earlier than that did not reach the session's `statement_timeout` of 30 s.
    private static let shorterThanTimeOut: Duration = .seconds(25)

    init(_ oid: UInt32, _ session: PostgresSession) {
        self.oid = oid
        self.session = session
    }

    enum Look<R> {
        case done(R, [CandidateColumn])
        /// No relation has this oid any more, or none of its columns can hold an envelope.
        case gone
        /// The last answer of the server, and the columns as they were then.
        case failed(PostgresError, [CandidateColumn])
    }

    /// - Parameters:
    ///   - columns: of this relation, as they were; some that may be read.
    ///   - body: is given the readable columns as they are, and the relation's size.
    /// - Throws: where the connection breaks.
    func look<R>(
        _ columns: [CandidateColumn],
        _ body: (_ columns: [CandidateColumn], _ blocks: Int) throws(PostgresError) -> R
    ) throws(PostgresError) -> Look<R> {
        var current = columns
        for attempt in 1...Self.attempts {
            var failure: PostgresError?
            let start = ContinuousClock.now
            do throws(PostgresError) {
                let (isUnchanged, blocks) = try open(current)
                if isUnchanged {
                    let found = try body(current.filter(\.mayRead), blocks)
                    try session.query("COMMIT")
                    return .done(found, current)
                }
            } catch {
                if error.breaksConnection { throw error }
                failure = error
            }
            try session.query("ROLLBACK")
            let fresh = try CandidateColumn.all(session, of: oid)
            if fresh.isEmpty { return .gone }
            // A sample that gave way to a statement that waited for it is taken again behind that statement.
            let gaveWay =
                failure?.sqlState == .queryCanceled && ContinuousClock.now - start < Self.shorterThanTimeOut
            if gaveWay, attempt < Self.attempts {
                current = fresh
                continue
            }
            // No other name explains this error.
            if let failure, Set(current.map(Names.init)).isSubset(of: fresh.map(Names.init)) {
                return .failed(failure, current)
            }
            current = fresh
            guard current.contains(where: \.mayRead) else { break }
        }
        return .failed(
            PostgresError(
                .unexpectedAnswer, "its name, schema or columns changed each time that it was looked up"),
            current)
    }

    /// Begins a transaction and takes the lock by the name; then asks whose lock that is. In one group: a database may
    /// have many relations.
    private func open(
        _ columns: [CandidateColumn]
    ) throws(PostgresError) -> (isUnchanged: Bool, blocks: Int) {
        guard let first = columns.first else { return (false, 0) }
        var none = QueryParameters()
        try session.send("BEGIN", &none)
        try session.send("SELECT FROM ONLY \(first.sqlName) LIMIT 0", &none)
        var names = parameters(columns)
        try session.send(Self.names, &names)
        var relation = QueryParameters()
        relation.append(oid: oid)
        try session.send(SampleStatements.blockCount, &relation)
        try session.submit()
        let answers = try session.collect()
        guard answers.count == 4 else {
            throw PostgresError(.unexpectedAnswer, "4 statements have \(answers.count) answers")
        }
        return (try isUnchanged(columns, answers[2]), try answers[3].number(0, 0))
    }

    private func isUnchanged(
        _ columns: [CandidateColumn], _ fresh: PostgresResult
    ) throws(PostgresError) -> Bool {
        var names: [Names] = []
        for row in 0..<fresh.rowCount {
            names.append(
                Names(
                    schema: StoredName(try fresh.text(row, 0)), table: StoredName(try fresh.text(row, 1)),
                    number: try fresh.number(row, 2), column: StoredName(try fresh.text(row, 3)),
                    type: try fresh.objectID(row, 4)))
        }
        return names == columns.sorted { $0.number < $1.number }.map(Names.init)
    }

    private func parameters(_ columns: [CandidateColumn]) -> QueryParameters {
        var parameters = QueryParameters()
        parameters.append(oid: oid)
        parameters.append(oids: columns.map { UInt32($0.number) })
        return parameters
    }

    private static let names = """
        SELECT n.nspname, c.relname, a.attnum, a.attname, a.atttypid
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY ($2::pg_catalog.int8[])
            AND NOT a.attisdropped
        WHERE c.oid = $1 ORDER BY a.attnum
        """

    fileprivate struct Names: Hashable {
        let schema: StoredName
        let table: StoredName
        let number: Int
        let column: StoredName
        let type: UInt32
    }
}

extension HeldRelation.Names {
    fileprivate init(_ column: CandidateColumn) {
        self.init(
            schema: StoredName(column.schema), table: StoredName(column.table), number: column.number,
            column: StoredName(column.name), type: column.typeOID)
    }
}
