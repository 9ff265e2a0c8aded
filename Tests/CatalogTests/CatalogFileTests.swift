import Foundation
import Testing

@testable import Catalog

@Suite struct CatalogFileTests {
    @Test func readsEverything() throws {
        let file = try CatalogFile(
            yaml: """
                tables:
                  - name: llm_providers
                    id_column: id
                    encrypted_columns: [api_key_encrypted]
                  - name: '"Odd Schema"."Ta""ble"'
                    id_column: [tenant_id, id]
                    encrypted_columns:
                      - a
                      - "no"
                  - {name: app.tokens, encrypted_columns: [secret]}
                ignore:
                  - public.users.password_hash
                  - public."a.b"."Co""l"
                """, path: "c.yaml")
        #expect(
            file.entries == [
                CatalogEntry(
                    name: "llm_providers", tableName: TableName(schema: nil, name: "llm_providers"),
                    idColumns: ["id"], encryptedColumns: ["api_key_encrypted"]),
                CatalogEntry(
                    name: #""Odd Schema"."Ta""ble""#,
                    tableName: TableName(schema: "Odd Schema", name: #"Ta"ble"#),
                    idColumns: ["tenant_id", "id"], encryptedColumns: ["a", "no"]),
                CatalogEntry(
                    name: "app.tokens", tableName: TableName(schema: "app", name: "tokens"), idColumns: nil,
                    encryptedColumns: ["secret"]),
            ])
        #expect(
            file.ignored == [
                QualifiedColumn(schema: "public", table: "users", column: "password_hash"),
                QualifiedColumn(schema: "public", table: "a.b", column: #"Co"l"#),
            ])
    }

    /// A letter with an accent, composed and apart: one text to Swift, two names to the server.
    @Test func namesAreComparedByTheirBytes() throws {
        let (composed, apart) = ("cl\u{E9}", "cle\u{301}")
        let file = try CatalogFile(
            yaml: """
                tables:
                  - {name: \(composed), id_column: [\(composed), \(apart)], encrypted_columns: [\(apart)e, \(composed)e]}
                  - {name: \(apart), encrypted_columns: [\(apart)]}
                """, path: "c.yaml")
        #expect(file.entries.count == 2)
        let selected = try file.selecting(tables: [apart]).entries
        #expect(selected.count == 1)
        #expect(selected.first?.encryptedColumns.count == 1)
    }

    @Test(arguments: [
        ("", "c.yaml: the file is empty"),
        ("- a", "c.yaml:1: the catalog is no mapping"),
        ("ignore: []", "c.yaml:1: the key tables is missing"),
        ("tables: []", "c.yaml:1: tables is empty"),
        ("tables:\n  a: b", "c.yaml:2: tables is no list"),
        ("tables: [t]", "c.yaml:1: a table is no mapping"),
        ("tables: []\nextra: 1", "c.yaml:2: unknown key extra in the catalog"),
        ("tables: []\ntables: []", "c.yaml:1: the key tables stands twice"),
        ("tables:\n- encrypted_columns: [a]", "c.yaml:2: a table has no name"),
        ("tables:\n- name: t", "c.yaml:2: table t has no encrypted_columns"),
        ("tables:\n- name: t\n  encrypted_columns: []", "c.yaml:3: table t: encrypted_columns is empty"),
        ("tables:\n- name: t\n  encrypted_columns: a", "c.yaml:3: table t: encrypted_columns is no list"),
        ("tables:\n- name: t\n  encrypted_columns: [a, b, a]", "column a stands twice in encrypted_columns"),
        ("tables:\n- name: t\n  encrypted_columns: [5]", "an item of encrypted_columns is no text but \"5\""),
        ("tables:\n- name: t\n  encrypted_columns: [[a]]", "an item of encrypted_columns is no text"),
        ("tables:\n- name: t\n  encrypted_columns: ['']", "an item of encrypted_columns is empty"),
        (
            "tables:\n- name: t\n  id_column: null\n  encrypted_columns: [a]",
            "id_column is no text but \"null\""
        ),
        (
            "tables:\n- name: t\n  id_column: []\n  encrypted_columns: [a]",
            "c.yaml:3: table t: id_column is empty"
        ),
        (
            "tables:\n- name: t\n  id_column: [a, a]\n  encrypted_columns: [b]",
            "column a stands twice in id_column"
        ),
        (
            "tables:\n- name: t\n  id_columns: a\n  encrypted_columns: [b]",
            "unknown key id_columns in a table"
        ),
        ("tables:\n- name: a b\n  encrypted_columns: [b]", "c.yaml:2: \"a b\" is no name"),
        (
            "tables:\n- {name: t, encrypted_columns: [a]}\n- {name: '\"t\"', encrypted_columns: [b]}",
            "c.yaml:3: table \"t\" is listed twice (also as t)"
        ),
        (
            "tables:\n- {name: t, encrypted_columns: [a]}\nignore: [users.x]",
            "c.yaml:3: ignore: \"users.x\" has 2"
        ),
        ("tables:\n- {name: t, encrypted_columns: [a]}\nignore: x", "c.yaml:3: ignore is no list"),
        ("tables:\n- name: [", "no valid YAML"),
        ("tables:\n- name: t\n\t  x: y", "c.yaml:3: no valid YAML"),
        ("tables: []\n---\ntables: []", "no valid YAML"),
    ])
    func refuses(yaml: String, message: String) {
        let error = #expect(throws: CatalogError.self) { try CatalogFile(yaml: yaml, path: "c.yaml") }
        #expect(error?.code == .fileInvalid)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "nothing thrown")")
        #expect(error?.message.hasPrefix("c.yaml") == true)
        #expect(error?.suggestion.isEmpty == false)
    }

    @Test func aMissingFileShowsAnExample() throws {
        let path = NSTemporaryDirectory() + "no-such-\(UUID().uuidString).yaml"
        let error = #expect(throws: CatalogError.self) { try CatalogFile.load(path: path) }
        #expect(error?.code == .fileUnreadable)
        #expect(error?.message == "the catalog \(path) does not exist")
        #expect(error?.suggestion.contains(CatalogFile.example) == true)
        #expect(try CatalogFile(yaml: CatalogFile.example, path: "x").entries.count == 1)
    }

    @Test func unreadableAndUndecodableFilesAreNamed() throws {
        let directory = #expect(throws: CatalogError.self) { try CatalogFile.load(path: "/tmp") }
        #expect(directory?.message == "the catalog /tmp cannot be read")
        let url = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try Data([0x74, 0xff, 0xfe]).write(to: url)
        defer { unlink(url.path()) }
        let error = #expect(throws: CatalogError.self) { try CatalogFile.load(path: url.path()) }
        #expect(error?.message.hasSuffix("is not UTF-8 text") == true)
    }

    @Test func canonicalTextIgnoresLayoutAlone() throws {
        let one = try CatalogFile(
            yaml:
                "tables:\n- {name: b, encrypted_columns: [y, x]}\n- {name: a, id_column: [k], encrypted_columns: [x]}",
            path: "1")
        let two = try CatalogFile(
            yaml: """
                # in another order
                ignore: []
                tables:
                  - encrypted_columns: [x]
                    name: a
                    id_column: k
                  - name: b
                    encrypted_columns:
                      - "y"
                      - x
                """, path: "2")
        #expect(
            one.canonicalText == """
                table "a" id ("k") encrypted ("x")
                table "b" id primary key encrypted ("y","x")

                """)
        #expect(one.canonicalText == two.canonicalText)
        let other = try CatalogFile(yaml: "tables: [{name: b, encrypted_columns: ['y,x']}]", path: "3")
        #expect(other.canonicalText == "table \"b\" id primary key encrypted (\"y,x\")\n")
    }

    /// A verdict says nothing about what is ignored, so a digest has to show it.
    @Test func canonicalTextNamesWhatIsIgnored() throws {
        func text(_ ignored: String) throws -> String {
            try CatalogFile(
                yaml: "tables: [{name: a, encrypted_columns: [x]}]\nignore: \(ignored)", path: "1"
            )
            .canonicalText
        }
        let table = "table \"a\" id primary key encrypted (\"x\")\n"
        #expect(try text("[]") == table)
        #expect(try text("[public.b.c]") == table + "ignore (\"public\",\"b\",\"c\")\n")
        #expect(try text("[public.b.d, public.b.c]") == text("[public.b.c, public.b.d]"))
    }

    @Test func selectsTables() throws {
        let file = try CatalogFile(
            yaml: """
                tables:
                  - {name: a, encrypted_columns: [x]}
                  - {name: '"s"."T"', encrypted_columns: [x]}
                ignore: [a.b.c]
                """, path: "c")
        #expect(try file.selecting(tables: []) == file)
        #expect(try file.selecting(tables: ["s.T", "s.T"]).entries.map(\.name) == [#""s"."T""#])
        #expect(try file.selecting(tables: [#""s"."T""#, "a"]).entries == file.entries)
        #expect(try file.selecting(tables: ["a"]).ignored == file.ignored)
        let error = #expect(throws: UnlistedTablesError.self) {
            try file.selecting(tables: ["a", "A", "not a name"])
        }
        #expect(error?.unlisted == ["A", "not a name"])
        #expect(error?.description == #"not in the catalog: A, not a name; it lists: a, "s"."T""#)
    }
}
