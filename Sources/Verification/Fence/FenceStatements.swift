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

    /// The comment may be lost; the name tells as much.
    private func standing(_ column: EncryptedColumn) -> FenceInspection.Fence? {
        inspection.fences(on: column).first {
            $0.mark?.retired == mark.retired || $0.name == constraintName(column)
        }
    }

    /// Fences of these columns that refuse other ids; dropped once the new ones stand.
    package var superseded: [FenceInspection.Fence] {
        table.columns.flatMap { column in
            let standing = standing(column)
            return inspection.fences(on: column).filter { $0.name != standing?.name }
        }
    }

    /// All columns in one ALTER, which is one lock. On a root it reaches every partition and child.
    package var add: [String] {
        let constraints = missing.map { column in
            let expression = FenceExpression(
                of: SQLIdentifier.quoted(column.name), column.type, target: mark.target,
                retired: mark.retired)
            return "ADD CONSTRAINT \(name(column)) CHECK (\(expression.sql)) NOT VALID"
        }
        let comments = table.columns.filter { standing($0)?.mark == nil }.map { column in
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
            let name = standing.map { SQLIdentifier.quoted($0.name) } ?? name(column)
            return "ALTER TABLE \(inspection.sqlName) VALIDATE CONSTRAINT \(name)"
        }
    }

    /// Takes back what `add` made.
    package var undo: [String] {
        missing.map { "ALTER TABLE \(inspection.sqlName) DROP CONSTRAINT IF EXISTS \(name($0))" }
    }

    /// The log-only form.
    package var addLogOnly: [String] {
        FenceTriggerStatements(inspection).add(target: mark.target, retired: mark.retired)
    }

    package var dropSuperseded: [String] { drop(superseded) }

    private func name(_ column: EncryptedColumn) -> String {
        SQLIdentifier.quoted(constraintName(column))
    }

    private func constraintName(_ column: EncryptedColumn) -> String {
        FenceName.constraint(column: column.name, mark)
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
        let onRoot = inspection.fences.filter { $0.relation == table.oid && names.contains($0.name) }
        let onLeaves = inspection.fences.filter {
            $0.relation != table.oid && $0.isLocal && names.contains($0.name)
        }
        return onRoot.map { fence in
            "ALTER TABLE \(inspection.sqlName) DROP CONSTRAINT \(SQLIdentifier.quoted(fence.name))"
        }
            + onLeaves.compactMap { fence in
                guard let leaf = table.leaves.first(where: { $0.oid == fence.relation }) else { return nil }
                return
                    "ALTER TABLE \(leaf.sqlName) DROP CONSTRAINT IF EXISTS \(SQLIdentifier.quoted(fence.name))"
            }
    }
}
