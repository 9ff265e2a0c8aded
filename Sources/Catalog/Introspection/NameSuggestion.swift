/// Picks from the names that exist those that were probably meant.
enum NameSuggestion {
    /// All of `existing`, the most similar first, at most `limit` of them.
    static func closest(to name: String, among existing: [String], limit: Int = 10) -> [String] {
        let wanted = Array(name.lowercased().unicodeScalars)
        return existing.map { ($0, distance(wanted, Array($0.lowercased().unicodeScalars))) }
            .sorted { ($0.1, $0.0) < ($1.1, $1.0) }
            .prefix(limit).map(\.0)
    }

    /// Levenshtein's distance.
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var row = Array(0...right.count)
        for (i, scalar) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in right.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(min(row[j], above) + 1, diagonal + (scalar == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[right.count]
    }
}
