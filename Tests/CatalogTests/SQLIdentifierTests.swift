import Testing

@testable import Catalog

@Suite struct SQLIdentifierTests {
    @Test(arguments: [
        ("a", "\"a\""), ("a\"b", "\"a\"\"b\""), ("\"", "\"\"\"\""), ("", "\"\""), ("A b.c", "\"A b.c\""),
        // One `Character` to Swift, and the end of the identifier to the server.
        ("x\"\u{301}; DROP TABLE t; --", "\"x\"\"\u{301}; DROP TABLE t; --\""),
    ])
    func quotes(name: String, quoted: String) {
        #expect(Array(SQLIdentifier.quoted(name).unicodeScalars) == Array(quoted.unicodeScalars))
    }
}
