/// What is wrong with the catalog file or with a name, and what to do next. Holds names and line numbers
/// alone, so `description` is safe to log.
package struct CatalogError: Error, Sendable, Hashable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String

        /// The file is missing or cannot be read.
        package static let fileUnreadable = Code(description: "catalog file unreadable")
        /// The file is no YAML, or not a catalog's.
        package static let fileInvalid = Code(description: "catalog file invalid")
        /// A name is not in SQL's syntax.
        package static let nameInvalid = Code(description: "name invalid")
    }

    package let code: Code
    package let message: String
    /// The next step.
    package let suggestion: String

    package init(_ code: Code, _ message: String, suggestion: String) {
        self.code = code
        self.message = message
        self.suggestion = suggestion
    }

    package var description: String { "\(message); \(suggestion)" }
}

/// Names that were asked for (`--table`) and are not in the catalog: a mistake of usage (exit code 64).
package struct UnlistedTablesError: Error, Sendable, Hashable, CustomStringConvertible {
    package let unlisted: [String]
    /// Every table of the catalog, as it is written there.
    package let known: [String]

    package init(unlisted: [String], known: [String]) {
        self.unlisted = unlisted
        self.known = known
    }

    package var description: String {
        "not in the catalog: \(unlisted.joined(separator: ", ")); it lists: \(known.joined(separator: ", "))"
    }
}
