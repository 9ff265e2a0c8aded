package import Catalog
package import Postgres

/// The fences that stand on a table and its partitions or children, as the system catalogs have them.
package struct FenceInspection: Sendable {
    package struct Fence: Sendable, Hashable {
        package let relation: UInt32
        package let name: String
        package let column: String
        package let isValidated: Bool
        /// Made on this relation itself, not only inherited.
        package let isLocal: Bool
        /// The ids that the stored expression refuses in every spelling. Empty where there is a defect.
        package let refused: [String]
        /// The ids that it refuses as this tool writes them, even where there is a defect.
        package let denied: [String]
        /// Why it counts for nothing.
        package let defect: FenceDefect?
        /// nil where the comment is missing or changed; children carry none of their own.
        package let mark: FenceMark?
    }

    /// A log-only fence.
    package struct Trigger: Sendable, Hashable {
        package let relation: UInt32
        package let name: String
        /// The column it looks at.
        package let column: String
    }

    package let table: EncryptedTable
    let quotedSchema: String
    private let quotedName: String
    package var sqlName: String { quotedSchema + "." + quotedName }
    package let fences: [Fence]
    package let triggers: [Trigger]
    /// Names of constraints anywhere in the tree that a new fence cannot have.
    let takenNames: Set<String>

    package init(_ table: EncryptedTable, session: PostgresSession) throws {
        self.table = table
        var relations = BinaryArray(of: .oid)
        for oid in Set(table.leaves.map(\.oid) + [table.oid]).sorted() {
            withUnsafeBytes(of: oid.bigEndian) { relations.append($0) }
        }
        var parameters = QueryParameters()
        parameters.append(array: &relations)
        (quotedSchema, quotedName) = try Self.name(table, session)
        takenNames = try Self.takenNames(table, session)
        fences = try Self.fences(table, parameters, session)
        triggers = try Self.triggers(parameters, session)
    }

    /// The ids that validated fences of the column refuse on this relation.
    func refusedKeyIDs(_ column: EncryptedColumn, on relation: UInt32) -> Set<String> {
        fences.filter {
            $0.relation == relation && $0.isValidated && StoredName($0.column) == StoredName(column.name)
        }.reduce(into: []) { $0.formUnion($1.refused) }
    }

    /// The table itself, which hands its constraints down to what is made below it later, and all that stores rows.
    var relations: [(oid: UInt32, sqlName: String)] {
        [(table.oid, sqlName)]
            + table.leaves.filter { $0.oid != table.oid }.map { ($0.oid, $0.sqlName) }
    }

    /// Constraints of the catalog's columns that count for nothing, wherever they stand.
    package var defective: [Fence] {
        let columns = Set(table.columns.map { StoredName($0.name) })
        return fences.filter { $0.defect != nil && columns.contains(StoredName($0.column)) }
    }

    /// The fences of a column on the table itself, without those that count for nothing.
    package func fences(on column: EncryptedColumn) -> [Fence] {
        fences.filter {
            $0.relation == table.oid && $0.defect == nil && StoredName($0.column) == StoredName(column.name)
        }
    }

    /// Relations that store rows and lack the fence, by their quoted names.
    package func leavesWithout(_ fence: Fence) -> [String] {
        table.leaves.filter { leaf in
            !fences.contains { $0.relation == leaf.oid && $0.name == fence.name && $0.defect == nil }
        }.map(\.sqlName)
    }

    /// The constraint of each relation that stores rows has a state of its own.
    package func isValidatedBelow(_ fence: Fence) -> Bool {
        table.leaves.allSatisfy { leaf in
            fences.contains {
                $0.relation == leaf.oid && $0.name == fence.name && $0.isValidated && $0.defect == nil
            }
        }
    }
}
