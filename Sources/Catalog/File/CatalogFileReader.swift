import Yams

/// From YAML text to catalog entries. Everything that is not understood is refused with its line.
struct CatalogFileReader {
    let path: String

    func read(_ yaml: String) throws(CatalogError) -> (entries: [CatalogEntry], ignored: [QualifiedColumn]) {
        guard let root = try compose(yaml) else {
            throw CatalogError(
                .fileInvalid, "\(path): the file is empty",
                suggestion: "list the tables, for example:\n\n\(CatalogFile.example)")
        }
        let members = try mapping(root, of: "the catalog", keys: ["tables", "ignore"])
        guard let tables = members["tables"] else {
            throw failure(
                root, "the key tables is missing",
                "list the tables, for example:\n\n\(CatalogFile.example)")
        }
        var entries: [CatalogEntry] = []
        for node in try list(tables, of: "tables") {
            let entry = try self.entry(node)
            if let earlier = entries.first(where: { $0.tableName == entry.tableName }) {
                throw failure(
                    node, "table \(entry.name) is listed twice (also as \(earlier.name))",
                    "put all encrypted columns of a table into one entry")
            }
            entries.append(entry)
        }
        if entries.isEmpty {
            throw failure(
                tables, "tables is empty", "list the tables, for example:\n\n\(CatalogFile.example)")
        }
        return (entries, try ignored(members["ignore"]))
    }

    private func entry(_ node: Node) throws(CatalogError) -> CatalogEntry {
        let keys = ["name", "id_column", "encrypted_columns"]
        let members = try mapping(node, of: "a table", keys: keys)
        guard let nameNode = members["name"] else {
            throw failure(node, "a table has no name", "add name: with the table's name")
        }
        let name = try text(nameNode, of: "name")
        let tableName: TableName
        do throws(CatalogError) {
            tableName = try TableName(parsing: name)
        } catch {
            throw failure(nameNode, error.message, error.suggestion)
        }
        guard let columnsNode = members["encrypted_columns"] else {
            throw failure(
                node, "table \(name) has no encrypted_columns", "add encrypted_columns: [column, …]")
        }
        let columns = try names(columnsNode, of: "encrypted_columns", table: name)
        var idColumns: [String]?
        if let idNode = members["id_column"] {
            if case .sequence = idNode {
                idColumns = try names(idNode, of: "id_column", table: name)
            } else {
                idColumns = [try text(idNode, of: "id_column", table: name)]
            }
        }
        return CatalogEntry(
            name: name, tableName: tableName, idColumns: idColumns, encryptedColumns: columns)
    }

    private func ignored(_ node: Node?) throws(CatalogError) -> [QualifiedColumn] {
        guard let node else { return [] }
        var columns: [QualifiedColumn] = []
        for item in try list(node, of: "ignore") {
            do throws(CatalogError) {
                columns.append(try QualifiedColumn(parsing: try text(item, of: "an item of ignore")))
            } catch  where error.code == .nameInvalid {
                throw failure(item, "ignore: \(error.message)", error.suggestion)
            }
        }
        return columns
    }

    // MARK: Nodes

    private func compose(_ yaml: String) throws(CatalogError) -> Node? {
        do {
            return try Yams.compose(yaml: yaml)
        } catch let error as YamlError {
            throw failure(error)
        } catch {
            throw CatalogError(
                .fileInvalid, "\(path): \(error)", suggestion: "correct the YAML of the catalog")
        }
    }

    private func mapping(
        _ node: Node, of what: String, keys: [String]
    ) throws(CatalogError) -> [String: Node] {
        guard case .mapping(let mapping) = node else {
            throw failure(
                node, "\(what) is no mapping",
                "write it as key: value lines with the keys \(keys.joined(separator: ", "))")
        }
        var members: [String: Node] = [:]
        for (keyNode, value) in mapping {
            let key = try text(keyNode, of: "a key")
            guard keys.contains(key) else {
                throw failure(
                    keyNode, "unknown key \(key) in \(what)",
                    "known keys are \(keys.joined(separator: ", "))")
            }
            guard members.updateValue(value, forKey: key) == nil else {
                throw duplicateKey(key, keyNode.mark)
            }
        }
        return members
    }

    private func list(_ node: Node, of what: String, table: String? = nil) throws(CatalogError) -> [Node] {
        guard case .sequence(let sequence) = node else {
            throw failure(
                node, inTable(table) + "\(what) is no list", "write it as [a, b] or as lines of - a")
        }
        return Array(sequence)
    }

    /// A list of column names: not empty, none twice.
    private func names(_ node: Node, of what: String, table: String) throws(CatalogError) -> [String] {
        var names: [String] = []
        for item in try list(node, of: what, table: table) {
            let name = try text(item, of: "an item of \(what)", table: table)
            if names.contains(where: { StoredName($0) == StoredName(name) }) {
                throw failure(item, "table \(table): column \(name) stands twice in \(what)", "name it once")
            }
            names.append(name)
        }
        if names.isEmpty { throw failure(node, "table \(table): \(what) is empty", "name the columns") }
        return names
    }

    /// A scalar that YAML itself reads as text: `no`, `5` and `null` are none, unless in quotes.
    private func text(_ node: Node, of what: String, table: String? = nil) throws(CatalogError) -> String {
        guard case .scalar(let scalar) = node else {
            throw failure(node, inTable(table) + "\(what) is no text", "write one name")
        }
        guard Resolver.default.resolveTag(of: node) == .str else {
            throw failure(
                node, inTable(table) + "\(what) is no text but \(scalar.string.debugDescription)",
                "put it in quotes if this is the name")
        }
        guard !scalar.string.isEmpty, !scalar.string.unicodeScalars.contains("\0") else {
            throw failure(node, inTable(table) + "\(what) is empty or holds a NUL character", "write a name")
        }
        return scalar.string
    }

    // MARK: Errors

    private func inTable(_ table: String?) -> String { table.map { "table \($0): " } ?? "" }

    private func failure(_ node: Node, _ message: String, _ suggestion: String) -> CatalogError {
        let place = node.mark.map { "\(path):\($0.line)" } ?? path
        return CatalogError(.fileInvalid, "\(place): \(message)", suggestion: suggestion)
    }

    private func duplicateKey(_ key: String, _ mark: Mark?) -> CatalogError {
        CatalogError(
            .fileInvalid, "\(path)\(mark.map { ":\($0.line)" } ?? ""): the key \(key) stands twice",
            suggestion: "keep one of the two")
    }

    private func failure(_ error: YamlError) -> CatalogError {
        switch error {
        case .duplicatedKeysInMapping(let keys, let context):
            return duplicateKey(keys.joined(separator: ", "), context.mark)
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return CatalogError(
                .fileInvalid, "\(path):\(mark.line): no valid YAML: \(problem)",
                suggestion: "correct that line; values with special characters belong in quotes")
        default:
            return CatalogError(
                .fileInvalid, "\(path): no valid YAML", suggestion: "save it as UTF-8 text in YAML's syntax")
        }
    }
}
