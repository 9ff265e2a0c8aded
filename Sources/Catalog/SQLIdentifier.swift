/// Identifiers and literals in SQL text, by the server's rules. Values are parameters wherever PostgreSQL
/// takes them; literals are for what must be constant in a plan.
package enum SQLIdentifier {
    /// `name` in double quotes, embedded ones doubled.
    package static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}

/// Constants in SQL text.
package enum SQLLiteral {
    /// A text constant without backslashes, so that it means the same whatever `standard_conforming_strings`
    /// says.
    package static func text(_ value: String) -> String {
        "'" + value.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    /// A `bytea` constant.
    package static func bytea(_ value: String) -> String {
        let digits = Array("0123456789abcdef")
        var hex = ""
        for byte in value.utf8 {
            hex.append(digits[Int(byte >> 4)])
            hex.append(digits[Int(byte & 15)])
        }
        return "decode('\(hex)', 'hex')"
    }
}
