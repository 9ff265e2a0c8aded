/// Which part of the catalog a verification looks at, and whether a part is what was asked for.
package struct VerificationScope: Sendable, Hashable, Encodable {
    /// As the catalog names them.
    package let tables: [String]
    /// Tables of the catalog that `--table` leaves out.
    package let tablesLeftOut: [String]
    /// False where `--table` was given, even if it names every table: a proof is of the catalog as it is.
    package let isWholeCatalog: Bool
    /// With `--partial`, exit code 0 for a part of which nothing bad is known.
    package let acceptsPart: Bool

    package init(
        tables: [String], tablesLeftOut: [String] = [], isWholeCatalog: Bool = true, acceptsPart: Bool = false
    ) {
        self.tables = tables
        self.tablesLeftOut = tablesLeftOut
        self.isWholeCatalog = isWholeCatalog
        self.acceptsPart = acceptsPart
    }
}
