import FoundationEssentials

/// The catalog file: which columns of which tables hold envelopes (`docs/contract.md`, section 3).
package struct CatalogFile: Sendable, Hashable {
    /// For messages.
    package let path: String
    /// Never empty, in the file's order.
    package let entries: [CatalogEntry]
    package let ignored: [QualifiedColumn]

    package init(path: String, entries: [CatalogEntry], ignored: [QualifiedColumn] = []) {
        self.path = path
        self.entries = entries
        self.ignored = ignored
    }

    /// Reads a file's text; strict, since a key that is silently passed over is a column left under the
    /// old key.
    package init(yaml: String, path: String) throws(CatalogError) {
        let contents = try CatalogFileReader(path: path).read(yaml)
        self.init(path: path, entries: contents.entries, ignored: contents.ignored)
    }

    package static func load(path: String) throws(CatalogError) -> CatalogFile {
        let bytes: Data
        do {
            bytes = try Data(contentsOf: URL(filePath: path))
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
            throw CatalogError(
                .fileUnreadable, "the catalog \(path) does not exist",
                suggestion: "name it with --catalog or REENCRYPT_CATALOG, or write one:\n\n\(example)")
        } catch {
            throw CatalogError(
                .fileUnreadable, "the catalog \(path) cannot be read",
                suggestion: "check that it is a file and that its permissions let this user read it")
        }
        guard let yaml = String(validating: bytes, as: UTF8.self) else {
            throw CatalogError(
                .fileInvalid, "the catalog \(path) is not UTF-8 text", suggestion: "save it as UTF-8")
        }
        return try CatalogFile(yaml: yaml, path: path)
    }

    package static let example = """
        tables:
          - name: llm_providers
            encrypted_columns: [api_key_encrypted]

        """

    /// The same catalog in the same words whatever the file's layout: for a digest that coordinator and
    /// workers compare, and that a verdict's report holds. Quoting keeps it unambiguous. A table's name counts as
    /// written, since progress keys carry it. What is ignored is a part: a verdict says nothing about it.
    package var canonicalText: String { canonicalTables + canonicalIgnored }

    private var canonicalIgnored: String {
        ignored.map { "ignore \(Self.canonicalList([$0.schema, $0.table, $0.column]))\n" }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.joined()
    }

    private var canonicalTables: String {
        entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }.map { entry in
            let id = entry.idColumns.map(Self.canonicalList) ?? "primary key"
            return "table \(SQLIdentifier.quoted(entry.name)) id \(id) "
                + "encrypted \(Self.canonicalList(entry.encryptedColumns))\n"
        }.joined()
    }

    private static func canonicalList(_ names: [String]) -> String {
        "(" + names.map(SQLIdentifier.quoted).joined(separator: ",") + ")"
    }

    /// The catalog cut down to the tables that `--table` names, as written in the file or spelled
    /// otherwise in SQL's syntax. No names: all of it.
    package func selecting(tables names: [String]) throws(UnlistedTablesError) -> CatalogFile {
        if names.isEmpty { return self }
        var selected: Set<StoredName> = []
        var unlisted: [String] = []
        for name in names {
            let matching = entries.filter {
                StoredName($0.name) == StoredName(name) || $0.tableName == Self.parsed(name)
            }
            if matching.isEmpty { unlisted.append(name) }
            selected.formUnion(matching.map { StoredName($0.name) })
        }
        guard unlisted.isEmpty else {
            throw UnlistedTablesError(unlisted: unlisted, known: entries.map(\.name))
        }
        return CatalogFile(
            path: path, entries: entries.filter { selected.contains(StoredName($0.name)) }, ignored: ignored)
    }

    private static func parsed(_ name: String) -> TableName? {
        do throws(CatalogError) {
            return try TableName(parsing: name)
        } catch {
            return nil  // what is no name is in no catalog
        }
    }
}
