/// SQL's dotted names: parts separated by `.`, each one bare or in double quotes with `""` for an embedded
/// quote. Bare parts are taken as they are stored: the catalog folds nothing.
enum DottedName {
    /// The parts of `text`, never empty ones.
    static func parts(of text: String) throws(CatalogError) -> [String] {
        var parts: [String] = []
        // Scalars, not characters: a combining mark behind a quote would hide it in a `Character`.
        var rest = Substring(text).unicodeScalars
        while true {
            parts.append(try part(&rest, of: text))
            guard let separator = rest.popFirst() else { return parts }
            guard separator == "." else {
                throw invalid(text, "something follows the closing quote of a part")
            }
        }
    }

    private static func part(
        _ rest: inout Substring.UnicodeScalarView, of text: String
    ) throws(CatalogError) -> String {
        let part = rest.first == "\"" ? try quotedPart(&rest, of: text) : try barePart(&rest, of: text)
        if part.isEmpty { throw invalid(text, "a part is empty") }
        if part.unicodeScalars.contains("\0") { throw invalid(text, "a part holds a NUL character") }
        return part
    }

    private static func quotedPart(
        _ rest: inout Substring.UnicodeScalarView, of text: String
    ) throws(CatalogError) -> String {
        rest.removeFirst()
        var part = String.UnicodeScalarView()
        while let scalar = rest.popFirst() {
            if scalar == "\"" {
                guard rest.first == "\"" else { return String(part) }
                rest.removeFirst()
            }
            part.append(scalar)
        }
        throw invalid(text, "a quote is not closed")
    }

    private static func barePart(
        _ rest: inout Substring.UnicodeScalarView, of text: String
    ) throws(CatalogError) -> String {
        let part = rest.prefix { $0 != "." }
        rest = rest[part.endIndex...]
        if part.contains("\"") { throw invalid(text, "a quote stands inside a bare part") }
        if part.contains(where: \.properties.isWhitespace) {
            throw invalid(text, "white space stands outside of quotes")
        }
        return String(part)
    }

    private static func invalid(_ text: String, _ reason: String) -> CatalogError {
        CatalogError(
            .nameInvalid, "\(text.debugDescription) is no name in SQL's syntax: \(reason)",
            suggestion: #"write table, schema.table or "Odd Schema"."Ta""ble""#)
    }
}
