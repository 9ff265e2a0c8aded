/// SQL that reads a value's label, the key id that it claims to be under, without parsing it.
///
/// SQL may say 'under this key' only where the value *begins* with the canonical prefix up to and including
/// the key id and holds no second member of that name, or by the members of a `jsonb`. A search for the id anywhere in
/// the value would take an old value with a nested or unknown member of that name for a current one. And of two members
/// of one name some readers take the last: the value is no envelope, which the parser says. A value that no predicate here
/// claims has to be fetched and parsed.
package struct LabelPredicate: Sendable {
    private let expression: String
    private let type: ColumnType

    /// - Parameter expression: the column in SQL, quoted.
    package init(of expression: String, _ type: ColumnType) {
        self.expression = expression
        self.type = type
    }

    /// True where the value is surely under the id, false, or NULL for a NULL value.
    package func isLabelled(_ keyID: String) -> String {
        switch type {
        case .bytea, .text, .varchar, .json: "(\(begins(under: keyID)) AND \(holdsOneKeyID(behind: keyID)))"
        case .jsonb: begins(under: keyID)
        }
    }

    /// True where the value begins as one under the id does: enough to hand it out as old, and cheaper. What follows
    /// may make it no envelope.
    package func begins(under keyID: String) -> String {
        let prefix = Self.prefix(keyID)
        let length = prefix.utf8.count
        switch type {
        case .bytea:
            return "substring(\(expression) from 1 for \(length)) = \(SQLLiteral.bytea(prefix))"
        case .text, .varchar:
            return "substring(\(expression) from 1 for \(length)) COLLATE \"C\" = \(SQLLiteral.text(prefix))"
        case .json:
            return
                "substring(\(expression)::text from 1 for \(length)) COLLATE \"C\" = \(SQLLiteral.text(prefix))"
        case .jsonb:
            // jsonb holds each member once. Containment takes 1.0 for 1, and ->> takes "1" for it: both.
            let members = "{\"version\":1,\"alg\":\"AES-256-GCM\",\"key_id\":\"\(keyID)\"}"
            return
                "(\(expression) @> \(SQLLiteral.text(members))::jsonb AND \(expression) ->> 'version' = '1')"
        }
    }

    private static func prefix(_ keyID: String) -> String {
        "{\"version\":1,\"alg\":\"AES-256-GCM\",\"key_id\":\"\(keyID)\","
    }

    /// Neither the name nor an escape, by which it could be spelled, follows the prefix. `right` costs a third of
    /// `substring`, which counts the characters of all that follows. `E''` means the same
    /// under either `standard_conforming_strings`.
    private func holdsOneKeyID(behind keyID: String) -> String {
        let length = Self.prefix(keyID).utf8.count
        if case .bytea = type {
            return """
                position(\(SQLLiteral.bytea("\"key_id\"")) in substring(\(expression) from \(length + 1))) = 0 \
                AND position(\(SQLLiteral.bytea("\\u")) in \(expression)) = 0
                """
        }
        let text = type == .json ? "(\(expression)::text COLLATE \"C\")" : "(\(expression) COLLATE \"C\")"
        return """
            position('"key_id"' in pg_catalog.right(\(text), -\(length))) = 0 \
            AND position(E'\\\\u' in \(text)) = 0
            """
    }

    /// True where the value is neither NULL nor labelled with the id; never NULL.
    package func isNeitherNullNorLabelled(_ keyID: String) -> String {
        "(\(isLabelled(keyID))) IS FALSE"
    }

    /// The value as the client parses it: the stored bytes; for JSON types their text.
    package var parsable: String {
        switch type {
        case .bytea, .text, .varchar: expression
        case .json, .jsonb: expression + "::text"
        }
    }

    /// A value that stands for 'old, no need to parse' in the column that `parsable` fills.
    package var emptyParsable: String {
        if case .bytea = type { return "''::bytea" }
        return "''::text"
    }
}
