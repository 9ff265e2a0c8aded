package import Catalog
package import Postgres
import Testing

extension CatalogEntry {
    /// As a catalog file states it.
    /// - Parameter id: nil for the table's primary key.
    package init(_ name: String, id: [String]? = nil, _ columns: [String]) throws {
        self.init(
            name: name, tableName: try TableName(parsing: name), idColumns: id, encryptedColumns: columns)
    }
}

extension PostgresSession {
    /// The table of that name, which has to be one that the product takes.
    package func resolve(_ name: String, _ columns: [String]) throws -> EncryptedTable {
        try #require(
            try Introspection.resolve([CatalogEntry(name, columns)], session: self).tables.first)
    }
}
