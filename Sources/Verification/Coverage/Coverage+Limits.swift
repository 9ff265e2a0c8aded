extension Coverage {
    /// What this look did not reach, each a part of a sentence: it speaks against nothing, and is said with every
    /// verdict.
    package var limits: [String] {
        var limits = [
            "outside of the catalog this is a search: of large tables, large values and large objects it reads a part, "
                + "and it recognises envelopes in plain text, hex and base64, not such as are compressed or encrypted again",
            "temporary tables of other sessions, pending notifications, texts of statements (pg_stat_activity, "
                + "pg_stat_statements), options of user mappings, and dropped columns, whose bytes stay in their rows, were "
                + "not looked at",
            "what an envelope holds in members of its own is the application's business, and was not looked at",
            "databases that subscribe to this one, and tools that write into it other than PostgreSQL's own subscriptions, "
                + "are not known to this look",
        ]
        if let objects = largeObjects, objects.looked < objects.all {
            limits.append("of \(objects.all) large objects \(objects.looked) were looked at")
        }
        if !foreignTables.isEmpty {
            limits.append(
                "the rows of foreign tables are in other databases and were not looked at: \(Self.list(foreignTables))"
            )
        }
        if !otherDatabases.isEmpty {
            limits.append(
                "other databases of this server were not looked at: \(Self.list(otherDatabases)) "
                    + "(\(otherDatabases.count) in all)")
        }
        return limits
    }

    private static func list(_ names: [String]) -> String {
        let shown = names.prefix(5).joined(separator: ", ")
        return names.count > 5 ? "\(shown) and \(names.count - 5) more" : shown
    }
}
