package import Catalog
package import Postgres

/// Looks for encrypted columns that are in no catalog, by content and by name, in every schema; and for envelopes in
/// the other places that a database has for text.
///
/// Each relation is read in a transaction of its own, so that none is held open for long, by one statement and
/// one more for each column with a trace. The verdict's census is the proof for the catalog's columns; this is
/// a search outside of them, and what it does not find need not be absent.
package struct CoverageScan: Sendable {
    private let covered: Set<Covered>
    private let ignored: [QualifiedColumn]
    private let cataloged: Set<UInt32>
    let seed: UInt16

    /// A column that is made meanwhile is looked at too, as long as that comes to an end.
    private static let rounds = 3

    private struct Covered: Hashable {
        let relation: UInt32
        /// By its bytes, see `ExactName`.
        let column: [UInt8]

        init(_ relation: UInt32, _ column: String) {
            self.relation = relation
            self.column = Array(column.utf8)
        }
    }

    /// No statement reads more than some megabytes; one that takes this long waits for something. PostgreSQL names
    /// objects with their schema where that is not in the path.
    private static let settings = """
        SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
            pg_catalog.set_config('row_security', 'off', false),
            pg_catalog.set_config('statement_timeout', '30s', false),
            pg_catalog.set_config('lock_timeout', '5s', false),
            pg_catalog.set_config('default_transaction_read_only', 'on', false),
            pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
            pg_catalog.set_config('max_parallel_workers_per_gather', '0', false)
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
        self.seed = seed
    }

    /// - Precondition: the session is in no transaction; its settings are changed for good.
    /// - Throws: where the connection breaks. What cannot be read is a finding.
    package func run(_ session: PostgresSession) throws(PostgresError) -> Coverage {
        try session.query(Self.settings)
        var tally = CoverageTally(ignored: ignored)
        var seen: Set<CandidateColumn.Identity> = []
        for round in 1...Self.rounds {
            let all = try CandidateColumn.all(session)
            let fresh = all.filter { !seen.contains($0.identity) }
            if fresh.isEmpty { break }
            seen.formUnion(fresh.map(\.identity))
            let rootsInPart = Set(all.filter { cataloged.contains($0.relation) }.map(\.rootOID))
            for columns in Self.byRelation(fresh) {
                try look(columns, rootsInPart, &tally, isAgain: round > 1, session)
            }
        }
        try LargeObjectSearch(seed: seed).run(session, &tally)
        try SystemCatalogSearch().run(session, &tally)
        return tally.coverage(otherDatabases: try OtherDatabases.names(session))
    }

    private func look(
        _ group: [CandidateColumn], _ rootsInPart: Set<UInt32>, _ tally: inout CoverageTally, isAgain: Bool,
        _ session: PostgresSession
    ) throws(PostgresError) {
        guard let first = group.first else { return }
        if first.kind == .foreign {
            tally.foreignTables.insert(CatalogName.dotted([first.schema, first.table]))
            return
        }
        let open = group.filter { !isSettled($0, rootsInPart: rootsInPart) }
        if open.isEmpty { return }
        let judgements = try judge(open, session)
        tally.relations += isAgain ? 0 : 1
        tally.columns += open.count
        for (column, reason, keyIDs) in judgements where !isSettled(column, rootsInPart: rootsInPart) {
            // A table of which single partitions are in the catalog cannot be added as a whole.
            let isRootInCatalog = cataloged.contains(column.rootOID)
            var finding = Self.finding(
                column, reason, keyIDs,
                namingRoot: isRootInCatalog || !rootsInPart.contains(column.rootOID))
            finding.isTableInCatalog = isRootInCatalog || cataloged.contains(column.relation)
            tally.add(finding, in: column)
        }
    }

    private static func byRelation(_ columns: [CandidateColumn]) -> [[CandidateColumn]] {
        Dictionary(grouping: columns, by: \.relation).sorted { $0.key < $1.key }.map(\.value)
    }

    /// In the catalog, or without rows of its own.
    private func isSettled(_ column: CandidateColumn, rootsInPart: Set<UInt32>) -> Bool {
        if covered.contains(Covered(column.relation, column.name)) { return true }
        guard column.kind == .partitioned else { return false }
        // It stores nothing: its partitions speak for themselves. A root without any has its name alone.
        return column.rootOID != column.relation || rootsInPart.contains(column.relation)
    }
}
