import Catalog

/// A dotted name by its bytes: of two columns that Swift takes for one, neither hides the other.
struct ExactName: Hashable {
    private let parts: [StoredName]

    init(_ schema: String, _ table: String, _ column: String) {
        parts = [schema, table, column].map { StoredName($0) }
    }

    func isColumn(of schema: String, _ table: String) -> Bool {
        parts.prefix(2).elementsEqual([schema, table].map { StoredName($0) })
    }

    init(_ column: QualifiedColumn) {
        self.init(column.schema, column.table, column.column)
    }
}
