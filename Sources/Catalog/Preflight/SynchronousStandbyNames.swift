/// How many standbys must confirm a COMMIT, from the setting `synchronous_standby_names`. The server has
/// accepted the value, so only its four forms need telling apart: `FIRST n (…)`, `ANY n (…)`, `n (…)` and a
/// plain list. Source: syncrep_gram.y.
enum SynchronousStandbyNames {
    static func requiredCount(_ setting: String) -> Int {
        // A name in quotes may look like a keyword or hold a parenthesis, but no form begins with one.
        let text = setting.unicodeScalars.drop { $0.properties.isWhitespace }
        if text.isEmpty { return 0 }
        let head = text.prefix { $0 != "(" && $0 != "," && $0 != "\"" }
        guard head.endIndex < text.endIndex, text[head.endIndex] == "(" else { return 1 }
        let words = String(head).split(whereSeparator: \.isWhitespace)
        return words.last.flatMap { Int($0) } ?? 1
    }
}
