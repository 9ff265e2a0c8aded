import Catalog
import Postgres

extension CoverageScan {
    typealias Judgement = (CandidateColumn, CoverageFinding.Reason, [String])
    private typealias Found = [Int: (CoverageFinding.Reason, [String])]

    /// What speaks of each column of one relation, as it is by then; columns of which nothing speaks are left out.
    func judge(
        _ columns: [CandidateColumn], _ session: PostgresSession
    ) throws(PostgresError) -> [Judgement] {
        guard let first = columns.first else { return [] }
        var current = columns
        var found: Found = [:]
        let isStored = first.kind == .storing || first.kind == .materialised
        if isStored, columns.contains(where: \.mayRead) {
            let relation = HeldRelation(first.relation, session)
            let look = try relation.look(columns) { columns, blocks throws(PostgresError) in
                try sample(columns, blocks, session)
            }
            switch look {
            case .gone: return []
            case .done(let values, let columns): (found, current) = (values, columns)
            case .failed(let error, let columns):
                current = columns
                found = try oneByOne(columns, error, session)
            }
        }
        var judgements: [Judgement] = []
        for column in current {
            if !column.mayRead && column.kind != .partitioned {
                judgements.append(
                    (column, .notLookedAt("the role lacks SELECT on it, or USAGE on its schema"), []))
            } else if let (reason, keyIDs) = found[column.number] {
                judgements.append((column, reason, keyIDs))
            } else if column.isNamedEncrypted {
                judgements.append((column, .name, []))
            }
        }
        return judgements
    }

    /// A value that cannot be written out hides no other column.
    private func oneByOne(
        _ columns: [CandidateColumn], _ error: PostgresError, _ session: PostgresSession
    ) throws(PostgresError) -> Found {
        let readable = columns.filter(\.mayRead)
        var found: Found = [:]
        for column in readable {
            if readable.count == 1 || error.sqlState == .lockNotAvailable {
                found[column.number] = (.notLookedAt(error.message), [])
                continue
            }
            let relation = HeldRelation(column.relation, session)
            let look = try relation.look([column]) { columns, blocks throws(PostgresError) in
                try sample(columns, blocks, session)
            }
            switch look {
            case .gone: return [:]
            case .done(let values, _): found.merge(values) { $1 }
            case .failed(let error, _): found[column.number] = (.notLookedAt(error.message), [])
            }
        }
        return found
    }

    /// By the columns' numbers; columns without envelopes are left out.
    private func sample(
        _ columns: [CandidateColumn], _ blocks: Int, _ session: PostgresSession
    ) throws(PostgresError) -> Found {
        let statements = SampleStatements(columns, blocks: blocks, seed: seed)
        let counts = try session.query(statements.traces)
        var found: Found = [:]
        let traces = SampleStatements.Trace.allCases
        for (index, column) in columns.enumerated() {
            var keyIDs: Set<String> = []
            var isWhole = false
            var isEmbedded = false
            for (offset, trace) in traces.enumerated()
            where try counts.number(0, index * traces.count + offset) > 0 {
                let values = try session.query(statements.values(of: column, with: trace))
                for row in 0..<values.rowCount {
                    guard let value = values.bytes(row, 0) else { continue }
                    switch EnvelopeTrace(of: value) {
                    case .envelope(let keyID):
                        isWhole = true
                        keyIDs.insert(keyID)
                    case .embedded(let labels):
                        isEmbedded = true
                        keyIDs.formUnion(labels)
                    // The server has found the letters behind the part that came here.
                    case .none:
                        let isCut = value.count >= SampleStatements.fetchedBytes
                        isEmbedded = isEmbedded || trace == .large || (trace == .member && isCut)
                    }
                }
            }
            if isWhole {
                found[column.number] = (.envelopes, keyIDs.sorted())
            } else if isEmbedded {
                found[column.number] = (.embedded, keyIDs.sorted())
            }
        }
        return found
    }

    static func finding(
        _ column: CandidateColumn, _ reason: CoverageFinding.Reason, _ keyIDs: [String], namingRoot: Bool
    ) -> CoverageFinding {
        let isPartition = column.rootOID != column.relation
        let kind: CoverageFinding.Kind =
            switch column.kind {
            case .materialised, .unpopulated: .materialisedView
            case .partitioned: .partitionedTable
            case .storing, .foreign: isPartition && namingRoot ? .partitionedTable : .table
            }
        return CoverageFinding(
            schema: namingRoot ? column.rootSchema : column.schema,
            table: namingRoot ? column.rootTable : column.table, column: column.name, type: column.type,
            kind: kind, reason: reason, keyIDs: keyIDs)
    }
}
