import Catalog

/// What a search has found so far. What is found where the catalog's `ignore:` lists the column is kept apart.
struct CoverageTally {
    private var ignored: [IgnoredColumn]
    private let ignoredNames: [ExactName: Int]
    var findings: [ExactName: CoverageFinding] = [:]
    var foreignTables: Set<String> = []
    var relations = 0
    var columns = 0
    var largeObjects: Coverage.LargeObjects?

    init(ignored: [QualifiedColumn]) {
        self.ignored = ignored.map { IgnoredColumn($0) }
        ignoredNames = Dictionary(
            ignored.enumerated().map { (ExactName($0.element), $0.offset) },
            uniquingKeysWith: { first, _ in first })
    }

    /// A partition's column is ignored by its own name or by its root's.
    mutating func add(_ finding: CoverageFinding, in column: CandidateColumn) {
        let index =
            ignoredNames[ExactName(column.schema, column.table, column.name)]
            ?? ignoredNames[ExactName(column.rootSchema, column.rootTable, column.name)]
        add(finding, ignoredAs: index)
    }

    mutating func add(_ finding: CoverageFinding) {
        add(finding, ignoredAs: ignoredNames[ExactName(finding.qualifiedColumn)])
    }

    /// Of two partitions' findings the one that says more stays.
    private mutating func add(_ finding: CoverageFinding, ignoredAs index: Int?) {
        if let index {
            let earlier = ignored[index].finding
            ignored[index].finding = earlier.map { Self.merged($0, finding) } ?? finding
            return
        }
        let name = ExactName(finding.qualifiedColumn)
        findings[name] = findings[name].map { Self.merged($0, finding) } ?? finding
    }

    func coverage(otherDatabases: [String]) -> Coverage {
        var coverage = Coverage(
            findings: findings.values.sorted {
                ($0.schema, $0.table, $0.column) < ($1.schema, $1.table, $1.column)
            },
            foreignTables: foreignTables.sorted(), relations: relations, columns: columns,
            ignored: ignored)
        coverage.largeObjects = largeObjects
        coverage.otherDatabases = otherDatabases
        return coverage
    }

    private static func merged(_ left: CoverageFinding, _ right: CoverageFinding) -> CoverageFinding {
        var merged = left.rank <= right.rank ? left : right
        merged.keyIDs = Set(left.keyIDs + right.keyIDs).sorted()
        return merged
    }
}
