// Feeds arbitrary text to the reader of the catalog file and holds it to what must be true of every input: a catalog names
// a table and a column of it at least; written out plainly, it reads the same; a refusal has words. Built by scripts/fuzz.

private func demand(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("\(what)") }
}

/// A text as YAML: JSON's strings are YAML's double-quoted ones.
private func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": quoted += "\\\(scalar)"
        case _ where scalar.value < 0x20 || (0x7F...0xA0).contains(scalar.value) || scalar.value > 0x2027:
            let hex = String(scalar.value, radix: 16)
            quoted += "\\U" + String(repeating: "0", count: 8 - hex.count) + hex
        default: quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}

private func list(_ names: [String]) -> String { "[" + names.map(quoted).joined(separator: ", ") + "]" }

/// The entries in the plainest words.
private func written(_ catalog: CatalogFile) -> String {
    "tables:\n"
        + catalog.entries.map { entry in
            "  - name: \(quoted(entry.name))\n"
                + (entry.idColumns.map { "    id_column: \(list($0))\n" } ?? "")
                + "    encrypted_columns: \(list(entry.encryptedColumns))\n"
        }.joined()
}

/// One input of libFuzzer; 0 says that it may enter the corpus.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    guard let text = String(validating: bytes, as: UTF8.self) else { return 0 }
    let catalog: CatalogFile
    do throws(CatalogError) {
        catalog = try CatalogFile(yaml: text, path: "fuzzed.yaml")
    } catch {
        demand(!error.message.isEmpty && !error.suggestion.isEmpty, "a refusal without words")
        return 0
    }
    demand(!catalog.entries.isEmpty, "a catalog without a table")
    demand(catalog.entries.allSatisfy { !$0.encryptedColumns.isEmpty }, "a table without a column")
    do throws(CatalogError) {
        let again = try CatalogFile(yaml: written(catalog), path: "written.yaml")
        demand(
            again.canonicalText == catalog.canonicalText, "a catalog is read otherwise than it was written")
    } catch {
        fatalError("a catalog of our own cannot be read: \(error)")
    }
    return 0
}
