/// A table's name in SQL's syntax: `table`, `schema.table`, `"Odd Schema"."Ta""ble"`. Equal names are the
/// same spelling once quotes are taken off; whether two names mean one table only the database knows.
package struct TableName: Hashable, Sendable {
    /// nil: found by the session's `search_path`.
    package let schema: String?
    package let name: String

    package init(schema: String?, name: String) {
        self.schema = schema
        self.name = name
    }

    package static func == (left: TableName, right: TableName) -> Bool {
        left.schema.map(StoredName.init) == right.schema.map(StoredName.init)
            && StoredName(left.name) == StoredName(right.name)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(schema.map(StoredName.init))
        hasher.combine(StoredName(name))
    }

    package init(parsing text: String) throws(CatalogError) {
        let parts = try DottedName.parts(of: text)
        switch parts.count {
        case 1: self.init(schema: nil, name: parts[0])
        case 2: self.init(schema: parts[0], name: parts[1])
        default:
            throw CatalogError(
                .nameInvalid, "\(text.debugDescription) has \(parts.count) parts",
                suggestion: "write table or schema.table, and double quotes around a name that holds a dot")
        }
    }
}
