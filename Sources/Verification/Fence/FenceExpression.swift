package import Catalog

/// The boolean SQL expression of a fence on one column: false for a value under a retired key, true or NULL for
/// everything else. It denies retired ids and lists no allowed ones, so the next rotation's first write passes.
///
/// A CHECK cannot catch an error, and a cast to `json` raises one for text that is no JSON, and on reading for
/// legal JSON with `\u0000` or half a surrogate pair. So nothing is cast: the value is taken apart by regular
/// expressions, which take any text. That needs no helper function, which would have an owner of its own, could
/// be replaced behind the constraint's back, and would have to be dumped before the table.
///
/// 1. What holds neither a retired id between quotes nor a `\u00` cannot name one: an id has no other escape. That
///    is what nearly every write is. No beginning of a value is trusted: a second `key_id` may follow it, and
///    readers differ in which of two they take.
/// 2. Else every *member* `"key_id": "<retired>"`, escaped or not, becomes a mark; what is left of strings and
///    everything between brackets goes. In what remains the value is refused if a mark stands directly inside
///    of the outermost object. 128 levels are what an envelope may nest; a deeper value is none.
///
/// Built-in functions that are IMMUTABLE in all supported versions; backslashes stand in `E''` constants, which
/// mean the same whatever `standard_conforming_strings` says.
package struct FenceExpression: Sendable {
    package let sql: String

    /// A value above this that gets to step 2 is refused: taking it apart could pass the server's limit of a
    /// gigabyte, which would be an error.
    package static let longestParsedValue = 16_777_216

    /// - Parameters:
    ///   - column: the column in SQL, quoted; `NEW."column"` in a trigger.
    ///   - retired: key ids, at least one, not the target's.
    package init(of column: String, _ type: ColumnType, retired: [String]) {
        sql =
            switch type {
            case .jsonb: Self.members(column, retired)
            case .bytea: FenceValue(bytes: column).expression(retired)
            case .text, .varchar: FenceValue(text: "(\(column) COLLATE \"C\")").expression(retired)
            case .json: FenceValue(text: "(\(column)::text COLLATE \"C\")").expression(retired)
            }
    }

    /// `jsonb` is parsed already, and holds each member once.
    private static func members(_ column: String, _ retired: [String]) -> String {
        let ids = retired.map(SQLLiteral.text).joined(separator: ", ")
        return "coalesce((\(column) ->> 'key_id') COLLATE \"C\" <> ALL (ARRAY[\(ids)]), true)"
    }
}

/// A value that has to be taken apart, as the text that regular expressions see.
private struct FenceValue {
    /// What ids are searched in.
    let stored: String
    /// A constant of the stored type.
    let constant: (String) -> String
    let text: String
    /// The regular expression for one backslash of the value.
    let backslash: String
    /// The regular expression for a JSON string. It reads each text in one way only: with two ways the longest
    /// match would run past the end of a string.
    let string: String

    /// - Parameter text: the column in SQL, under the collation "C": others may know no regular expressions.
    init(text: String) {
        self.stored = text
        self.text = text
        constant = { FenceLiteral.text($0) }
        backslash = #"\\"#
        string = #""(?:[^"\\]|\\.)*""#
    }

    /// `encode` takes any bytes, whatever their encoding. It doubles each backslash and writes bytes beyond
    /// ASCII, and zero, as a backslash with three digits.
    init(bytes column: String) {
        stored = column
        text = "pg_catalog.encode(\(column), 'escape') COLLATE \"C\""
        constant = { FenceLiteral.bytes($0) }
        backslash = #"\\\\"#
        string = #""(?:[^"\\]|\\{2}(?:\\{2}|[^\\])|\\[0-7])*""#
    }

    func expression(_ retired: [String]) -> String {
        let absent = (retired.map { "\"\($0)\"" } + [#"\u00"#])
            .map { "position(\(constant($0)) in \(stored)) = 0" }.joined(separator: " AND ")
        let marked =
            "pg_catalog.regexp_replace(\(text), \(FenceLiteral.text(member(retired))), '~', 'g')"
        let brackets =
            "pg_catalog.regexp_replace(\(marked), \(FenceLiteral.text(string + "|[^][{}~\"]+")), '', 'g')"
        let markAtFirstLevel =
            "('^[{]' || pg_catalog.repeat('(?:~|[[{]', 127) || pg_catalog.repeat('[]}])*', 127) || '~')"
        return """
            CASE WHEN \(absent) THEN true \
            WHEN pg_catalog.octet_length(\(stored)) > \(FenceExpression.longestParsedValue) THEN false \
            ELSE \(brackets) !~ \(markAtFirstLevel) END
            """
    }

    /// A quote behind a backslash opens no string but stands in one.
    private func member(_ retired: [String]) -> String {
        let space = #"[ \t\n\r]*"#
        let ids = retired.map(spelled).joined(separator: "|")
        return #"(?<!\\)""# + spelled("key_id") + "\"\(space):\(space)\"(?:\(ids))\""
    }

    /// Each character as itself or as its escape. Ids are of ASCII letters, digits, `.`, `_` and `-`.
    private func spelled(_ text: String) -> String {
        text.utf8.map { byte in
            let code = String(byte, radix: 16)
            let digits = code.map { $0.isLetter ? "[\($0)\($0.uppercased())]" : "\($0)" }.joined()
            let itself = byte == UInt8(ascii: ".") ? "[.]" : String(UnicodeScalar(byte))
            return "(?:\(itself)|\(backslash)u00\(digits))"
        }.joined()
    }
}

/// Constants that may hold a backslash.
enum FenceLiteral {
    static func text(_ value: String) -> String {
        let quoted = SQLLiteral.text(value)
        guard quoted.contains("\\") else { return quoted }
        return "E" + quoted.reduce(into: "") { $0 += $1 == "\\" ? "\\\\" : String($1) }
    }

    /// Shorter in the server's catalogs, which are read with each statement, than a call of `decode`.
    static func bytes(_ value: String) -> String {
        let hex = value.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "E'\\\\x\(hex)'::bytea"
    }
}
