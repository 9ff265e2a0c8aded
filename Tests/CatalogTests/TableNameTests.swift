import Testing

@testable import Catalog

@Suite struct TableNameTests {
    @Test(arguments: [
        ("llm_providers", TableName(schema: nil, name: "llm_providers")),
        ("app.Users", TableName(schema: "app", name: "Users")),
        (#""Odd Schema"."Ta""ble""#, TableName(schema: "Odd Schema", name: #"Ta"ble"#)),
        (#""a.b".c"#, TableName(schema: "a.b", name: "c")),
        (#"a."b.c""#, TableName(schema: "a", name: "b.c")),
        ("tenant-7", TableName(schema: nil, name: "tenant-7")),
        ("\"x\"\"\u{301}y\"", TableName(schema: nil, name: "x\"\u{301}y")),
        ("\"\"\"\"", TableName(schema: nil, name: "\"")),
    ])
    func parses(text: String, expected: TableName) throws {
        let parsed = try TableName(parsing: text)
        #expect(parsed == expected)
        #expect(Array(parsed.name.utf8) == Array(expected.name.utf8))
    }

    @Test(arguments: [
        ("", "a part is empty"), (".t", "a part is empty"), ("t.", "a part is empty"),
        ("a..b", "a part is empty"), (#""""#, "a part is empty"),
        (#""open"#, "a quote is not closed"), (#""a"b"#, "something follows the closing quote"),
        (#"a"b"#, "a quote stands inside a bare part"), ("my table", "white space stands outside of quotes"),
        (" t", "white space stands outside of quotes"), ("a.b.c", "3 parts"), ("a\0b", "NUL"),
    ])
    func refuses(text: String, reason: String) {
        let error = #expect(throws: CatalogError.self) { try TableName(parsing: text) }
        #expect(error?.code == .nameInvalid)
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }

    @Test func columnPath() throws {
        let column = try QualifiedColumn(parsing: #"public."a.b".token"#)
        #expect(column == QualifiedColumn(schema: "public", table: "a.b", column: "token"))
        let error = #expect(throws: CatalogError.self) { try QualifiedColumn(parsing: "users.token") }
        #expect(error?.message == #""users.token" has 2 of the 3 parts of a column's name"#)
    }
}
