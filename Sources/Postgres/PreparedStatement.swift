/// A statement that a session prepares on first use and then knows by name.
package struct PreparedStatement: Hashable, Sendable {
    package let name: String
    package let sql: String

    package init(name: String, sql: String) {
        self.name = name
        self.sql = sql
    }
}
