import Postgres

/// One table's columns, key and leaves, compared with its entry. Goes on after a problem as far as later
/// questions still make sense.
struct TableInspection {
    let entry: CatalogEntry
    let tree: RelationTree
    let session: PostgresSession
    private(set) var problems: [CatalogProblem] = []

    init(_ entry: CatalogEntry, _ tree: RelationTree, session: PostgresSession) {
        self.entry = entry
        self.tree = tree
        self.session = session
    }

    /// nil where something had to be refused.
    mutating func table() throws(PostgresError) -> EncryptedTable? {
        let rootOID = tree.root.oid
        let rootColumns =
            try TableColumn.all(of: [rootOID], named: nil, session: session)[rootOID] ?? []
        var byName: [StoredName: TableColumn] = [:]
        for column in rootColumns { byName[StoredName(column.name)] = column }
        let encrypted = encryptedColumns(byName, rootColumns)
        checkLeafKinds()

        let relations = tree.storing.map(\.oid)
        let indexes = try UniqueIndex.all(of: Set(relations + [rootOID]).sorted(), session: session)
        guard let ids = idColumns(byName, rootColumns, indexes[rootOID] ?? []) else { return nil }
        let key = KeyInspection(
            table: entry.name, ids: ids, tree: tree, indexes: indexes,
            columns: try TableColumn.all(
                of: Set(relations + [rootOID]).sorted(), named: ids.map(\.name), session: session))
        problems += key.problems
        guard !problems.contains(where: { $0.severity == .refuse }), let root = key.index(of: rootOID) else {
            return nil
        }
        let hooks = try UpdateHooks(of: relations, columns: encrypted.map(\.name), session: session)
        let leaves = tree.storing.compactMap { leaf in
            key.index(of: leaf.oid).map { index in
                Leaf(
                    oid: leaf.oid, schema: leaf.schema, name: leaf.name,
                    rangeColumns: key.rangeColumns(index), updateHooks: hooks.also[leaf.oid] ?? [])
            }
        }
        let inIndexOrder = key.rangeColumns(root)
        let identity = try TableIdentity.read(
            entry.tableName, columns: encrypted.map(\.name), session)
        guard let identity, identity.leafOIDs == Set(leaves.map(\.oid)), identity.rootOID == rootOID else {
            refuse("it was changed while it was looked at", mend: "try again")
            return nil
        }
        return EncryptedTable(
            name: entry.name, identity: identity, oid: rootOID, lockOID: tree.topmostOID,
            idColumns: ids.compactMap { id in
                inIndexOrder.first { StoredName($0.name) == StoredName(id.name) }
            },
            columns: encrypted, leaves: leaves)
    }

    private mutating func refuse(_ message: String, column: String? = nil, mend: String) {
        problems.append(CatalogProblem(.refuse, table: entry.name, column: column, message, mend: mend))
    }

    private mutating func encryptedColumns(
        _ byName: [StoredName: TableColumn], _ all: [TableColumn]
    ) -> [EncryptedColumn] {
        var encrypted: [EncryptedColumn] = []
        for name in entry.encryptedColumns {
            guard let column = byName[StoredName(name)] else {
                refuseUnknown(name, all)
                continue
            }
            guard let type = column.encryptedType else {
                refuse(
                    "its type \(column.typeName) cannot hold an envelope", column: name,
                    mend: "supported are \(TableColumn.encryptedTypes), and domains over them")
                continue
            }
            encrypted.append(EncryptedColumn(name: column.name, type: type))
        }
        return encrypted
    }

    private mutating func refuseUnknown(_ name: String, _ all: [TableColumn]) {
        let existing = NameSuggestion.closest(to: name, among: all.map(\.name), limit: 100)
        refuse(
            "there is no such column", column: name,
            mend: "correct the name; existing columns: \(existing.joined(separator: ", "))")
    }

    private mutating func checkLeafKinds() {
        for member in tree.members {
            if member.isTemporary {
                refuse(
                    "its child \(member.sqlName) is a temporary table of another session, whose rows nobody else "
                        + "can read: they may be under any key",
                    mend: "end that session, or have it drop the table; then try again")
                continue
            }
            switch member.kind {
            case .table, .partitionedTable: break
            default:
                refuse(
                    "its partition or child \(member.sqlName) is \(member.kind.description), "
                        + "whose rows cannot be locked and updated from here",
                    mend: "detach it and rotate it where its rows are stored")
            }
        }
        let detaching = tree.members.filter { tree.detaching.contains($0.oid) }.map(\.sqlName)
        if !detaching.isEmpty {
            problems.append(
                CatalogProblem(
                    .warn, table: entry.name,
                    "\(detaching.abridged()) is being detached; it is rotated with this table now, "
                        + "and is a table of its own afterwards",
                    mend: "complete it with ALTER TABLE … DETACH PARTITION … FINALIZE, "
                        + "and list it in the catalog"))
        }
    }

    /// The id columns that the entry names, else the primary key's; nil where that leaves none.
    private mutating func idColumns(
        _ byName: [StoredName: TableColumn], _ all: [TableColumn], _ rootIndexes: [UniqueIndex]
    ) -> [TableColumn]? {
        guard let names = entry.idColumns ?? rootIndexes.first(where: \.isPrimary)?.columns else {
            let candidates = rootIndexes.filter { $0.defect == nil }
                .compactMap { $0.columns.map { "[\($0.joined(separator: ", "))]" } }
            refuse(
                "it has no primary key, and no id_column is given",
                mend: candidates.isEmpty
                    ? "ALTER TABLE \(tree.root.sqlName) ADD PRIMARY KEY (…)"
                    : "set id_column to a unique key of NOT NULL columns: \(candidates.abridged())")
            return nil
        }
        var ids: [TableColumn] = []
        for name in names {
            guard let column = byName[StoredName(name)] else {
                refuseUnknown(name, all)
                continue
            }
            if entry.encryptedColumns.contains(where: { StoredName($0) == StoredName(name) }) {
                refuse(
                    "it is an id column and an encrypted one", column: name,
                    mend: "a row's id must not change: set id_column to another unique key")
            }
            if !column.isSupportedID {
                refuse(
                    "its type \(column.typeName) is not supported for ids", column: name,
                    mend: "supported are \(TableColumn.idTypes), and domains over them; "
                        + "set id_column to another unique key")
            }
            ids.append(column)
        }
        return ids.count == names.count ? ids : nil
    }
}
