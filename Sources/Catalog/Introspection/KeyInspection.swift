import Postgres

/// Whether the id columns are a unique key on the root and on every leaf. Inherited children do not get the
/// parent's index, so each one is asked.
struct KeyInspection {
    let table: String
    let ids: [TableColumn]
    let tree: RelationTree
    let indexes: [UInt32: [UniqueIndex]]
    /// The id columns of each relation.
    let columns: [UInt32: [TableColumn]]

    private var names: [String] { ids.map(\.name) }

    /// The index that a relation is enumerated by.
    func index(of relation: UInt32) -> UniqueIndex? {
        UniqueIndex.best(for: names, among: indexes[relation] ?? [])
    }

    /// The id columns in the order and with the collations of `index`.
    func rangeColumns(_ index: UniqueIndex) -> [IDColumn] {
        index.keys.compactMap { key in
            ids.first { StoredName($0.name) == key.column.map(StoredName.init) }.map { id in
                IDColumn(name: id.name, type: id.typeName, collation: key.collation)
            }
        }
    }

    var problems: [CatalogProblem] {
        let root = tree.root
        let leaves = tree.storing.filter { $0.kind == .table && $0.oid != root.oid }
        var problems = missingIndex(in: [root], what: "") + nullable(in: [root], what: "")
        if problems.isEmpty {
            let what = "its partition or child "
            problems = missingIndex(in: leaves, what: what) + nullable(in: leaves, what: what)
        }
        return problems + unordered(leaves + (root.kind == .table ? [root] : []))
    }

    private var sqlColumns: String { names.map(SQLIdentifier.quoted).joined(separator: ", ") }

    /// Leaves without a usable index, at most one problem for all of them.
    private func missingIndex(in relations: [Relation], what: String) -> [CatalogProblem] {
        let missing = relations.filter { index(of: $0.oid) == nil }
        guard let first = missing.first else { return [] }
        let near = (indexes[first.oid] ?? []).first { $0.covers(names) && $0.defect != nil }
        let reason = near.map { "; \(SQLIdentifier.quoted($0.name)) is \($0.defect ?? "unusable")" } ?? ""
        let plain =
            "\(what)\(missing.map(\.sqlName).abridged()) has no valid, non-partial unique index on "
            + "exactly (\(names.joined(separator: ", ")))\(reason)"
        return [
            CatalogProblem(
                .refuse, table: table, plain,
                mend: missing.prefix(5).map(createIndex).joined(separator: "; ")
                    + (what.isEmpty ? "; or set id_column to a unique key" : ""))
        ]
    }

    private func createIndex(_ relation: Relation) -> String {
        let concurrently = relation.kind == .partitionedTable ? "" : "CONCURRENTLY "
        return "CREATE UNIQUE INDEX \(concurrently)ON \(relation.sqlName) (\(sqlColumns))"
    }

    private func nullable(in relations: [Relation], what: String) -> [CatalogProblem] {
        names.compactMap { name in
            let nullable = relations.filter { relation in
                (columns[relation.oid] ?? []).contains {
                    !$0.isNotNull && StoredName($0.name) == StoredName(name)
                }
            }
            if nullable.isEmpty { return nil }
            let mends = nullable.prefix(5).map {
                "ALTER TABLE \($0.sqlName) ALTER COLUMN \(SQLIdentifier.quoted(name)) SET NOT NULL"
            }
            return CatalogProblem(
                .refuse, table: table, column: name,
                "the id column may be NULL in \(what)\(nullable.map(\.sqlName).abridged())",
                mend: mends.joined(separator: "; "))
        }
    }

    private func unordered(_ relations: [Relation]) -> [CatalogProblem] {
        let slow = relations.filter { index(of: $0.oid)?.isOrdered == false }
        guard let first = slow.first else { return [] }
        return [
            CatalogProblem(
                .warn, table: table,
                "the unique index of \(slow.map(\.sqlName).abridged()) does not follow the usual order "
                    + "(operator class, or mixed ASC and DESC): every range is sorted, which is slow",
                mend: createIndex(first))
        ]
    }
}
