/// `schema.table.column`: a column that looks encrypted and is none of ours.
package struct QualifiedColumn: Hashable, Sendable {
    package let schema: String
    package let table: String
    package let column: String

    package init(schema: String, table: String, column: String) {
        self.schema = schema
        self.table = table
        self.column = column
    }

    package init(parsing text: String) throws(CatalogError) {
        let parts = try DottedName.parts(of: text)
        guard parts.count == 3 else {
            throw CatalogError(
                .nameInvalid, "\(text.debugDescription) has \(parts.count) of the 3 parts of a column's name",
                suggestion: "write schema.table.column, and double quotes around a name that holds a dot")
        }
        self.init(schema: parts[0], table: parts[1], column: parts[2])
    }
}
