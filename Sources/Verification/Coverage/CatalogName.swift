import Catalog

/// Names as the catalog file's syntax has them: bare where it can be, else in SQL's double quotes.
package enum CatalogName {
    package static func dotted(_ parts: [String]) -> String {
        parts.map(part).joined(separator: ".")
    }

    private static func part(_ name: String) -> String {
        let needsQuotes = name.unicodeScalars.contains {
            $0 == "." || $0 == "\"" || $0.properties.isWhitespace || $0.properties.generalCategory == .control
        }
        return needsQuotes ? SQLIdentifier.quoted(name) : name
    }
}
