import Catalog
import FoundationEssentials
import Verification

/// The fences of the catalog's columns, for people and for programs.
struct FenceStatus: Encodable {
    struct Column: Encodable {
        let table: String
        let column: String
        /// A fence stands on the table, and on all that is below it.
        let present: Bool
        let validated: Bool
        /// The ids of all fences of the column; null where a fence's comment is lost.
        let retired: [String]?
        let constraints: [String]
        /// Partitions and children that lack it.
        let lacking: [String]
        let logOnly: Bool

        enum CodingKeys: String, CodingKey {
            case table, column, present, validated, retired, constraints, lacking
            case logOnly = "log_only"
        }

        /// A member that is unknown is null, not absent.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(table, forKey: .table)
            try container.encode(column, forKey: .column)
            try container.encode(present, forKey: .present)
            try container.encode(validated, forKey: .validated)
            try container.encode(retired, forKey: .retired)
            try container.encode(constraints, forKey: .constraints)
            try container.encode(lacking, forKey: .lacking)
            try container.encode(logOnly, forKey: .logOnly)
        }
    }

    let columns: [Column]

    init(_ inspections: [FenceInspection]) {
        columns = inspections.flatMap { inspection in
            inspection.table.columns.map { column in
                let fences = inspection.fences(on: column)
                let marks = fences.compactMap(\.mark)
                let lacking = Set(fences.flatMap { inspection.leavesWithout($0) }).sorted()
                return Column(
                    table: inspection.table.name, column: column.name,
                    present: !fences.isEmpty && lacking.isEmpty,
                    validated: !fences.isEmpty && fences.allSatisfy { inspection.isValidatedBelow($0) },
                    retired: marks.count == fences.count ? Set(marks.flatMap(\.retired)).sorted() : nil,
                    constraints: fences.map(\.name), lacking: lacking,
                    logOnly: inspection.triggers.contains { StoredName($0.column) == StoredName(column.name) }
                )
            }
        }
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    func text() -> String {
        var table = TextTable(["table", "column", "fence", "retired", "lacking"])
        for column in columns {
            let state =
                switch (column.constraints.isEmpty, column.validated) {
                case (true, _): column.logOnly ? "log only" : "none"
                case (false, true): "validated"
                case (false, false): "not validated"
                }
            table.add([
                column.table, column.column, state,
                column.retired?.joined(separator: ", ") ?? "(unknown: its comment is lost)",
                column.lacking.joined(separator: ", "),
            ])
        }
        return table.text(numeric: [])
    }
}
