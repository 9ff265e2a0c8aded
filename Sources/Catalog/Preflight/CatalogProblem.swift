/// Something about a table, or the server, that stands in the way of a rotation, and its mend.
package struct CatalogProblem: Sendable, Hashable, CustomStringConvertible {
    package enum Severity: Sendable, Hashable {
        /// The rotation would fail, hang or miss rows.
        case refuse
        /// It works, but an operator should know.
        case warn
    }

    package let severity: Severity
    /// As the catalog names it; nil where the server as a whole is meant.
    package let table: String?
    package let column: String?
    package let message: String
    /// What to do, where possible as the statement to run.
    package let mend: String

    package init(
        _ severity: Severity, table: String?, column: String? = nil, _ message: String, mend: String
    ) {
        self.severity = severity
        self.table = table
        self.column = column
        self.message = message
        self.mend = mend
    }

    package var description: String {
        let place = [table.map { "table \($0)" }, column.map { "column \($0)" }].compactMap(\.self)
        return (place + [message]).joined(separator: ": ") + "; " + mend
    }
}
