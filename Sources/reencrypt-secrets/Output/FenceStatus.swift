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
        /// The ids that the column's fences refuse, by their stored definitions.
        let retired: [String]
        /// The names of these fences.
        let constraints: [String]
        /// What is called a fence and counts for nothing, each with the reason; `fence add` replaces it.
        let ineffective: [String]
        /// Partitions and children that lack it.
        let lacking: [String]
        let logOnly: Bool

        enum CodingKeys: String, CodingKey {
            case table, column, present, validated, retired, constraints, ineffective, lacking
            case logOnly = "log_only"
        }
    }

    let columns: [Column]

    init(_ inspections: [FenceInspection]) {
        columns = inspections.flatMap { inspection in
            inspection.table.columns.map { column in
                let fences = inspection.fences(on: column)
                let lacking = Set(fences.flatMap { inspection.leavesWithout($0) }).sorted()
                let defective = inspection.defective.filter {
                    StoredName($0.column) == StoredName(column.name)
                }
                return Column(
                    table: inspection.table.name, column: column.name,
                    present: !fences.isEmpty && lacking.isEmpty,
                    validated: !fences.isEmpty && fences.allSatisfy { inspection.isValidatedBelow($0) },
                    retired: Set(fences.flatMap(\.refused)).sorted(),
                    constraints: fences.map(\.name),
                    ineffective: Set(
                        defective.compactMap { fence in fence.defect.map { "\(fence.name): \($0)" } }
                    ).sorted(),
                    lacking: lacking,
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
                case (true, _) where !column.ineffective.isEmpty: "counts for nothing"
                case (true, _): column.logOnly ? "log only" : "none"
                case (false, true): "validated"
                case (false, false): "not validated"
                }
            table.add([
                column.table, column.column, state, column.retired.joined(separator: ", "),
                column.lacking.joined(separator: ", "),
            ])
        }
        let notes = columns.flatMap { column in
            column.ineffective.map { "  \(column.table).\(column.column): \($0)\n" }
        }
        let help =
            notes.isEmpty
            ? ""
            : "\nThese count for nothing. `reencrypt-secrets fence add` replaces them:\n" + notes.joined()
        return table.text(numeric: []) + help
    }
}
