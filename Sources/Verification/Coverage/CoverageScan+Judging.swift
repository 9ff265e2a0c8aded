import Catalog
import Postgres

extension CoverageScan {
    typealias Judgement = (CandidateColumn, CoverageFinding.Reason, [String])

    /// What speaks of each column of one relation; columns of which nothing speaks are left out.
    func judge(
        _ columns: [CandidateColumn], _ session: PostgresSession
    ) throws(PostgresError) -> [Judgement] {
        var judgements: [Judgement] = []
        for column in columns where !column.mayRead && column.kind != .partitioned {
            judgements.append(
                (column, .notLookedAt("the role lacks SELECT on it, or USAGE on its schema"), []))
        }
        let readable = columns.filter {
            $0.mayRead && $0.form != .list && ($0.kind == .storing || $0.kind == .materialised)
        }
        var found: [[UInt8]: (CoverageFinding.Reason, [String])] = [:]
        if !readable.isEmpty {
            do throws(PostgresError) {
                found = try sample(readable, session)
            } catch {
                if error.breaksConnection { throw error }
                if error.sqlState == .undefinedTable { return [] }  // dropped meanwhile
                for column in readable { found[Array(column.name.utf8)] = (.notLookedAt(error.message), []) }
            }
        }
        for column in columns where column.mayRead || column.kind == .partitioned {
            if let (reason, keyIDs) = found[Array(column.name.utf8)] {
                judgements.append((column, reason, keyIDs))
            } else if column.isNamedEncrypted {
                judgements.append((column, .name, []))
            }
        }
        return judgements
    }

    /// By the columns' names in bytes, see `ExactName`; columns without envelopes are left out.
    private func sample(
        _ columns: [CandidateColumn], _ session: PostgresSession
    ) throws(PostgresError) -> [[UInt8]: (CoverageFinding.Reason, [String])] {
        guard let first = columns.first else { return [:] }
        var relation = QueryParameters()
        relation.append(oid: first.relation)
        let blocks = try session.query(SampleStatements.blockCount, relation).integer(0, 0) ?? 0
        let statements = SampleStatements(columns, blocks: blocks, seed: seed)
        let counts = try session.query(statements.traces)
        var found: [[UInt8]: (CoverageFinding.Reason, [String])] = [:]
        let traces = SampleStatements.Trace.allCases
        for (index, column) in columns.enumerated() {
            var keyIDs: Set<String> = []
            var isEmbedded = false
            var embeddedKeyIDs: Set<String> = []
            for (offset, trace) in traces.enumerated()
            where counts.integer(0, index * traces.count + offset) ?? 0 > 0 {
                let values = try session.query(statements.values(of: column, with: trace))
                for row in 0..<values.rowCount {
                    guard let value = values.bytes(row, 0) else { continue }
                    switch EnvelopeTrace(of: value) {
                    case .envelope(let keyID): keyIDs.insert(keyID)
                    case .embedded:
                        isEmbedded = true
                        embeddedKeyIDs.formUnion(EmbeddedKeyIDs.ids(in: value))
                    case .none: break
                    }
                }
            }
            if !keyIDs.isEmpty {
                found[Array(column.name.utf8)] = (.envelopes, keyIDs.sorted())
            } else if isEmbedded {
                found[Array(column.name.utf8)] = (.embedded, embeddedKeyIDs.sorted())
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

    static func merged(_ left: CoverageFinding, _ right: CoverageFinding) -> CoverageFinding {
        var merged = left.rank <= right.rank ? left : right
        merged.keyIDs = Set(left.keyIDs + right.keyIDs).sorted()
        return merged
    }
}
