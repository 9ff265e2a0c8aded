/// Identifiers in SQL text, by the server's rules.
package enum SQLIdentifier {
    /// `name` in double quotes, embedded ones doubled.
    package static func quoted(_ name: String) -> String { SQLQuoting.quoted(name, "\"") }
}

/// Constants in SQL text. Values are parameters wherever PostgreSQL takes them; these are for what must be
/// constant in a plan.
package enum SQLLiteral {
    /// A text constant. It must hold no backslash, so that it means the same whatever
    /// `standard_conforming_strings` says.
    package static func text(_ value: String) -> String { SQLQuoting.quoted(value, "'") }

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

private enum SQLQuoting {
    /// Scalars, not characters: a quote with a combining mark behind it is another `Character`, and would end
    /// the constant.
    static func quoted(_ text: String, _ quote: Unicode.Scalar) -> String {
        var quoted = String.UnicodeScalarView([quote])
        for scalar in text.unicodeScalars {
            if scalar == quote { quoted.append(scalar) }
            quoted.append(scalar)
        }
        quoted.append(quote)
        return String(quoted)
    }
}
