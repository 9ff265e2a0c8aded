package import BatchQueue
package import Catalog
package import Envelope

/// Everything that coordinator and workers have agreed on for one job.
package struct JobPlan: Sendable {
    package let keyring: Keyring
    package let mode: RotationMode
    package let tables: [EncryptedTable]
    /// The key of the advisory lock that stands for this job, drawn with it.
    package let jobLock: AdvisoryLock
    /// Key ids whose check values the operator has confirmed.
    package let expectedKeyIDs: Set<String>
    private let leaves: [UInt32: PlannedLeaf]

    package init(
        keyring: Keyring, mode: RotationMode, tables: [EncryptedTable], jobLock: AdvisoryLock,
        expectedKeyIDs: Set<String> = []
    ) {
        self.expectedKeyIDs = expectedKeyIDs
        self.keyring = keyring
        self.mode = mode
        self.tables = tables
        self.jobLock = jobLock
        let target = keyring.primary.id.description
        let known = keyring.ids.map(\.description)
        var leaves: [UInt32: PlannedLeaf] = [:]
        for table in tables {
            for leaf in table.leaves {
                leaves[leaf.oid] = PlannedLeaf(
                    table: table, leaf: leaf,
                    byID: LeafStatements(table, leaf, targetKeyID: target, knownKeyIDs: known),
                    byPlace: LeafStatements(
                        table, leaf, targetKeyID: target, knownKeyIDs: known, byPlace: true))
            }
        }
        self.leaves = leaves
    }

    package var targetKeyID: String { keyring.primary.id.description }

    /// The leaf that a range names, if it belongs to the table that the range names.
    package func leaf(_ oid: UInt32, of table: String) -> PlannedLeaf? {
        guard let planned = leaves[oid], StoredName(planned.table.name) == StoredName(table) else {
            return nil
        }
        return planned
    }
}

package struct PlannedLeaf: Sendable {
    package let table: EncryptedTable
    package let leaf: Leaf
    /// The set for the kind of range at hand.
    package let statements: LeafStatements
    private let byPlace: LeafStatements

    init(table: EncryptedTable, leaf: Leaf, byID: LeafStatements, byPlace: LeafStatements) {
        self.table = table
        self.leaf = leaf
        statements = byID
        self.byPlace = byPlace
    }

    /// The leaf with the statements for ranges of a kind.
    package func ranged(by kind: BatchRange.Kind) -> PlannedLeaf {
        kind == .ids
            ? self : PlannedLeaf(table: table, leaf: leaf, byID: byPlace, byPlace: byPlace)
    }

    /// Why a range's ends are none of this leaf's; nil where they may be.
    func defect(of range: BatchRange) -> String? {
        let ends = [range.first, range.last]
        switch range.kind {
        case .ids:
            let fits = ends.allSatisfy { $0.count == leaf.rangeColumns.count }
            return fits ? nil : "the range's ids do not fit the table's id columns"
        case .blocks:
            let areTold = ends.allSatisfy { $0.count == 1 && RowPlace($0[0]) != nil }
            return areTold ? nil : "the range's ends are no places in a table"
        }
    }
}
