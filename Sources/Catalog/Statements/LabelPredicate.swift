/// SQL that reads a value's label, the key id that it claims to be under, without parsing it.
///
/// SQL may say 'under this key' only where the value *begins* with the canonical prefix up to and including
/// the key id, or by the members of a `jsonb`. A search for the id anywhere in the value would take an old
/// value with a nested or unknown member of that name for a current one. Whatever no predicate here claims
/// has to be fetched and parsed.
package struct LabelPredicate: Sendable {
    private let expression: String
    private let type: ColumnType

    /// - Parameter expression: the column in SQL, quoted.
    package init(of expression: String, _ type: ColumnType) {
        self.expression = expression
        self.type = type
    }

    /// True, false, or NULL for a NULL value.
    package func isLabelled(_ keyID: String) -> String {
        let prefix = "{\"version\":1,\"alg\":\"AES-256-GCM\",\"key_id\":\"\(keyID)\","
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
