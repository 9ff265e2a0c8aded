package import Catalog

/// The SQL that adds and drops the fences of one table. Each group is one transaction.
package struct FenceStatements: Sendable {
    private let inspection: FenceInspection
    private let mark: FenceMark
    var table: EncryptedTable { inspection.table }

    package init(_ inspection: FenceInspection, target: String, retired: [String]) {
        self.inspection = inspection
        mark = FenceMark(target: target, retired: retired)
    }

    // MARK: The constraint

    /// The columns without a fence that refuses exactly these ids.
    package var missing: [EncryptedColumn] {
        table.columns.filter { standing($0) == nil }
    }

    /// By what it refuses, not by its name or comment. A validated one first.
    private func standing(_ column: EncryptedColumn) -> FenceInspection.Fence? {
        let same = inspection.fences(on: column).filter { $0.refused.sorted() == mark.retired }
        return same.first { inspection.isValidatedBelow($0) } ?? same.first
    }

    /// What else of these columns is called a fence: with other ids, or without effect, on the table or on a
    /// relation below it. Dropped once the new ones stand.
    package var superseded: [FenceInspection.Fence] {
        table.columns.flatMap { column in
            let standing = standing(column)
            return inspection.fences.filter {
                StoredName($0.column) == StoredName(column.name) && $0.name != standing?.name
                    && ($0.relation == table.oid || $0.isLocal)
            }
        }
    }

    /// All columns in one ALTER, which is one lock. On a root it reaches every partition and child.
    package var add: [String] {
        let constraints = missing.map { column in
            let expression = FenceExpression(
                of: SQLIdentifier.quoted(column.name), column.type, retired: mark.retired)
            return "ADD CONSTRAINT \(name(column)) CHECK (\(expression.sql)) NOT VALID"
        }
        let comments = table.columns.filter { standing($0)?.mark?.retired != mark.retired }.map { column in
            "COMMENT ON CONSTRAINT \(name(column)) ON \(inspection.sqlName) IS \(SQLLiteral.text(mark.comment))"
        }
        let alter = "ALTER TABLE \(inspection.sqlName) \(constraints.joined(separator: ", "))"
        return (constraints.isEmpty ? [] : [alter]) + comments
    }

    /// Takes no lock that a writer waits for. One statement a column: each reads the whole table.
    package var validate: [String] {
        table.columns.compactMap { column in
            let standing = standing(column)
            if let standing, inspection.isValidatedBelow(standing) { return nil }
            return "ALTER TABLE \(inspection.sqlName) VALIDATE CONSTRAINT \(name(column))"
        }
    }

    /// Takes back what `add` made.
    package var undo: [String] {
        missing.map { "ALTER TABLE \(inspection.sqlName) DROP CONSTRAINT IF EXISTS \(name($0))" }
    }

    /// The log-only form.
    package var addLogOnly: [String] {
        FenceTriggerStatements(inspection).add(retired: mark.retired)
    }

    package var dropSuperseded: [String] { drop(superseded) }

    private func name(_ column: EncryptedColumn) -> String {
        SQLIdentifier.quoted(
            standing(column)?.name
                ?? FenceName.constraint(column: column.name, mark, besides: inspection.takenNames))
    }

    // MARK: Dropping

    /// Every fence, log-only ones included.
    package static func drop(_ inspection: FenceInspection) -> [String] {
        let statements = FenceStatements(inspection, target: "", retired: [])
        let columns = Set(inspection.table.columns.map { StoredName($0.name) })
        return statements.drop(inspection.fences.filter { columns.contains(StoredName($0.column)) })
            + FenceTriggerStatements(inspection).drop
    }

    /// The root's constraint goes with all that is inherited from it; a partition that was attached with one
    /// of its own keeps that, unless it is named.
    private func drop(_ fences: [FenceInspection.Fence]) -> [String] {
        let names = Set(fences.map(\.name))
        // A constraint on two columns is found twice.
        let onRoot = Set(inspection.fences.filter { $0.relation == table.oid }.map(\.name))
            .intersection(names).sorted()
        let onLeaves = table.leaves.filter { $0.oid != table.oid }.flatMap { leaf in
            Set(inspection.fences.filter { $0.relation == leaf.oid && $0.isLocal }.map(\.name))
                .intersection(names).sorted().map { (leaf, $0) }
        }
        return onRoot.map { name in
            "ALTER TABLE \(inspection.sqlName) DROP CONSTRAINT \(SQLIdentifier.quoted(name))"
        }
            + onLeaves.map { leaf, name in
                "ALTER TABLE \(leaf.sqlName) DROP CONSTRAINT IF EXISTS \(SQLIdentifier.quoted(name))"
            }
    }
}
