/// One table as the catalog file states it; nothing here has been compared with a database.
package struct CatalogEntry: Hashable, Sendable {
    /// As written; progress, reports and failures use this name.
    package let name: String
    package let tableName: TableName
    /// nil: the table's primary key.
    package let idColumns: [String]?
    package let encryptedColumns: [String]

    package init(name: String, tableName: TableName, idColumns: [String]?, encryptedColumns: [String]) {
        self.name = name
        self.tableName = tableName
        self.idColumns = idColumns
        self.encryptedColumns = encryptedColumns
    }
}
