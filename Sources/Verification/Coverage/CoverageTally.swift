/// What a search has found so far.
struct CoverageTally {
    var findings: [ExactName: CoverageFinding] = [:]
    var foreignTables: Set<String> = []
    var relations = 0
    var columns = 0
    var largeObjects: Coverage.LargeObjects?

    /// Of two partitions' findings the one that says more stays.
    mutating func add(_ finding: CoverageFinding) {
        let name = ExactName(finding.qualifiedColumn)
        findings[name] = findings[name].map { Self.merged($0, finding) } ?? finding
    }

    func coverage(otherDatabases: [String]) -> Coverage {
        var coverage = Coverage(
            findings: findings.values.sorted {
                ($0.schema, $0.table, $0.column) < ($1.schema, $1.table, $1.column)
            },
            foreignTables: foreignTables.sorted(), relations: relations, columns: columns)
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
