import Catalog

extension VerificationReport {
    /// What was looked at, and what was not: a verdict says nothing beyond it.
    struct Scope: Encodable, Sendable {
        struct Ignored: Encodable, Sendable {
            let schema: String
            let table: String
            let column: String
            /// As in `coverage`; null where nothing was found, or nobody has looked.
            @Nullable var finding: String?
            let keyIds: [String]
        }

        /// As the catalog names them.
        let tables: [String]
        let tablesLeftOut: [String]
        let isWholeCatalog: Bool
        let depth: String
        /// The columns that the catalog lists under `ignore:`.
        let ignored: [Ignored]

        init(_ outcome: VerificationOutcome, ignored: [IgnoredColumn]?) {
            tables = outcome.scope.tables
            tablesLeftOut = outcome.scope.tablesLeftOut
            isWholeCatalog = outcome.scope.isWholeCatalog
            depth = outcome.depth.rawValue
            self.ignored = (ignored ?? []).map {
                Ignored(
                    schema: $0.column.schema, table: $0.column.table, column: $0.column.column,
                    finding: $0.finding?.reasonCode, keyIds: $0.finding?.keyIDs ?? [])
            }
        }
    }
}
