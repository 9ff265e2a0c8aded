import Catalog

/// A dotted name by its bytes. Swift takes texts for equal that differ in how a letter with an accent is
/// composed; to PostgreSQL they are two columns, one of which might then hide the other.
struct ExactName: Hashable {
    private let parts: [[UInt8]]

    init(_ schema: String, _ table: String, _ column: String) {
        parts = [schema, table, column].map { Array($0.utf8) }
    }

    init(_ column: QualifiedColumn) {
        self.init(column.schema, column.table, column.column)
    }
}
