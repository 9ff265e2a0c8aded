import Verification

/// Censuses as a table: records by table, column and key id, before and after.
enum CensusOutput {
    static func text(before: Census, after: Census?) -> String {
        var table = TextTable(
            ["table", "column", "key"] + (after == nil ? ["records"] : ["before", "after"]))
        let groups = Set(before.records.keys).union(after?.records.keys.map { $0 } ?? [])
        let sorted = groups.sorted { ($0.table, $0.column, $0.label) < ($1.table, $1.column, $1.label) }
        for group in sorted {
            var row = [
                group.table, group.column, group.label.keyID ?? "(unreadable)",
                Quantity.grouped(before.records[group] ?? 0),
            ]
            if let after { row.append(Quantity.grouped(after.records[group] ?? 0)) }
            table.add(row)
        }
        var total = ["all", "", "", Quantity.grouped(before.totalRecords)]
        if let after { total.append(Quantity.grouped(after.totalRecords)) }
        table.add(total)
        return table.text(numeric: [3, 4])
    }
}
