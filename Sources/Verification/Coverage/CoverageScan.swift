package import Catalog
package import Postgres

/// Looks for encrypted columns that are in no catalog: by content and by name, in every schema.
///
/// Each relation is read in a transaction of its own, so that none is held open for long, by one statement and
/// one more for each column with a trace. The verdict's census is the proof for the catalog's columns; this is
/// a search outside of them, and what it does not find need not be absent.
package struct CoverageScan: Sendable {
    private let covered: Set<Covered>
    private let ignored: [QualifiedColumn]
    private let ignoredNames: [ExactName: Int]
    private let cataloged: Set<UInt32>
    let seed: UInt16

    private struct Covered: Hashable {
        let relation: UInt32
        /// By its bytes, see `ExactName`.
        let column: [UInt8]

        init(_ relation: UInt32, _ column: String) {
            self.relation = relation
            self.column = Array(column.utf8)
        }
    }

    /// No statement reads more than some megabytes; one that takes this long waits for something.
    private static let settings = """
        SELECT set_config('row_security', 'off', false), set_config('statement_timeout', '30s', false), \
        set_config('lock_timeout', '5s', false), set_config('default_transaction_read_only', 'on', false), \
        set_config('max_parallel_workers_per_gather', '0', false)
        """

    /// - Parameter tables: the catalog's; their partitions and children are covered with them.
    /// - Parameter seed: which blocks of a large relation are drawn; another one each time finds more in time.
    package init(
        _ tables: [EncryptedTable], ignored: [QualifiedColumn],
        seed: UInt16 = .random(in: 0...UInt16.max)
    ) {
        var covered: Set<Covered> = []
        var cataloged: Set<UInt32> = []
        for table in tables {
            let relations = [table.oid] + table.leaves.map(\.oid)
            cataloged.formUnion(relations)
            for column in table.columns {
                covered.formUnion(relations.map { Covered($0, column.name) })
            }
        }
        self.covered = covered
        self.cataloged = cataloged
        self.ignored = ignored
        ignoredNames = Dictionary(
            ignored.enumerated().map { (ExactName($0.element), $0.offset) },
            uniquingKeysWith: { first, _ in first })
        self.seed = seed
    }

    /// - Precondition: the session is in no transaction; its settings are changed for good.
    /// - Throws: where the connection breaks. What cannot be read is a finding.
    package func run(_ session: PostgresSession) throws(PostgresError) -> Coverage {
        try session.query(Self.settings)
        let all = try CandidateColumn.all(session)
        let rootsInPart = Set(all.filter { cataloged.contains($0.relation) }.map(\.rootOID))
        var findings: [ExactName: CoverageFinding] = [:]
        var ignoredColumns = ignored.map { IgnoredColumn($0) }
        var foreign: [String] = []
        var relations = 0
        var columns = 0
        for (_, group) in Self.byRelation(all) {
            guard let first = group.first else { continue }
            if first.kind == .foreign {
                foreign.append(CatalogName.dotted([first.schema, first.table]))
                continue
            }
            let open = group.filter { !isSettled($0, rootsInPart: rootsInPart) }
            if open.isEmpty { continue }
            let labels = try judge(open, session)
            relations += 1
            columns += open.count
            for (column, reason, keyIDs) in labels {
                // A table of which single partitions are in the catalog cannot be added as a whole.
                let isRootInCatalog = cataloged.contains(column.rootOID)
                var finding = Self.finding(
                    column, reason, keyIDs,
                    namingRoot: isRootInCatalog || !rootsInPart.contains(column.rootOID))
                finding.isTableInCatalog = isRootInCatalog || cataloged.contains(column.relation)
                if let index = ignoredIndex(column) {
                    let earlier = ignoredColumns[index].finding
                    ignoredColumns[index].finding = earlier.map { Self.merged($0, finding) } ?? finding
                    continue
                }
                let name = ExactName(finding.qualifiedColumn)
                findings[name] = findings[name].map { Self.merged($0, finding) } ?? finding
            }
        }
        return Coverage(
            findings: findings.values.sorted {
                ($0.schema, $0.table, $0.column) < ($1.schema, $1.table, $1.column)
            },
            foreignTables: foreign.sorted(), relations: relations, columns: columns, ignored: ignoredColumns)
    }

    private static func byRelation(_ columns: [CandidateColumn]) -> [(UInt32, [CandidateColumn])] {
        Dictionary(grouping: columns, by: \.relation).sorted { $0.key < $1.key }
    }

    /// Where the catalog's `ignore:` lists the column: a partition goes by its own name or by its root's.
    private func ignoredIndex(_ column: CandidateColumn) -> Int? {
        ignoredNames[ExactName(column.schema, column.table, column.name)]
            ?? ignoredNames[ExactName(column.rootSchema, column.rootTable, column.name)]
    }

    /// In the catalog, or without rows of its own.
    private func isSettled(_ column: CandidateColumn, rootsInPart: Set<UInt32>) -> Bool {
        if covered.contains(Covered(column.relation, column.name)) { return true }
        guard column.kind == .partitioned else { return false }
        // It stores nothing: its partitions speak for themselves. A root without any has its name alone.
        return column.rootOID != column.relation || rootsInPart.contains(column.relation)
    }
}
