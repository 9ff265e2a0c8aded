/// The report's part about columns outside the catalog; `catalog discover --json` prints the same.
package struct CoverageSection: Encodable, Sendable {
    struct Finding: Encodable, Sendable {
        let schema: String
        let table: String
        let column: String
        let type: String
        /// `table`, `partitioned table`, `materialised view`.
        let kind: String
        /// `envelopes`, `embedded envelopes`, `name`, `not looked at`.
        let reason: String
        /// Of sampled envelopes.
        let keyIds: [String]
        let sentence: String
    }

    let relations: Int
    let columns: Int
    let findings: [Finding]
    let foreignTables: [String]

    package init(_ coverage: Coverage) {
        relations = coverage.relations
        columns = coverage.columns
        foreignTables = coverage.foreignTables
        findings = coverage.findings.map {
            Finding(
                schema: $0.schema, table: $0.table, column: $0.column, type: $0.type,
                kind: $0.kind.rawValue, reason: $0.reasonCode, keyIds: $0.keyIDs, sentence: $0.sentence)
        }
    }
}
