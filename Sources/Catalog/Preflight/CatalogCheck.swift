/// What `catalog check` prints: a line for each table of the catalog, its problems with their mends below.
package enum CatalogCheck {
    /// - Parameter names: the catalog's tables in the file's order, those that were refused included.
    package static func text(
        names: [String], tables: [EncryptedTable], problems: [CatalogProblem]
    ) -> String {
        var lines = problems.filter { $0.table == nil }.flatMap {
            problemLines($0, indent: "", place: "server")
        }
        for name in names {
            let own = problems.filter { $0.table.map(StoredName.init) == StoredName(name) }
            let table = tables.first { StoredName($0.name) == StoredName(name) }
            if own.contains(where: { $0.severity == .refuse }) {
                lines.append("REFUSED  \(name)")
            } else if let table {
                lines.append("OK       \(name): \(summary(table))")
            } else {
                lines.append("UNKNOWN  \(name): it was not looked at")
            }
            lines += own.flatMap { problemLines($0, indent: "  ", place: $0.column.map { "column \($0)" }) }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func summary(_ table: EncryptedTable) -> String {
        let ids = table.idColumns.map { "\($0.name) (\($0.type))" }.joined(separator: ", ")
        let columns = table.columns.map { "\($0.name) (\($0.type.sqlName))" }.joined(separator: ", ")
        let leaves = table.leaves.count == 1 ? "1 relation" : "\(table.leaves.count) relations"
        return "\(leaves); id \(ids); encrypted \(columns)"
    }

    private static func problemLines(_ problem: CatalogProblem, indent: String, place: String?) -> [String] {
        let word = problem.severity == .refuse ? "refused" : "warning"
        let message = [place, problem.message].compactMap(\.self).joined(separator: ": ")
        return ["\(indent)\(word): \(message)", "\(indent)  mend: \(problem.mend)"]
    }
}

extension ColumnType {
    /// As SQL names it.
    package var sqlName: String {
        switch self {
        case .bytea: "bytea"
        case .text: "text"
        case .varchar(nil): "varchar"
        case .varchar(let limit?): "varchar(\(limit))"
        case .json: "json"
        case .jsonb: "jsonb"
        }
    }
}
