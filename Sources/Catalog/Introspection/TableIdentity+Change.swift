package import Postgres

extension TableIdentity {
    /// How a later look differs, in words for people: `public.a was attached, public.b was rewritten`.
    /// - Parameter later: nil where the name leads to nothing any more.
    /// - Returns: nil where nothing differs.
    package func change(to later: TableIdentity?) -> String? {
        guard let later else { return "its name leads to no table any more" }
        if later == self { return nil }
        guard later.rootOID == rootOID else {
            let now = later.members.first { $0.oid == later.rootOID }?.plainName ?? "oid \(later.rootOID)"
            return
                "its name leads to another table now (\(now), oid \(later.rootOID) in the place of \(rootOID))"
        }
        let before = Dictionary(uniqueKeysWithValues: members.map { ($0.oid, $0) })
        let after = Dictionary(uniqueKeysWithValues: later.members.map { ($0.oid, $0) })
        let attached = later.members.filter { before[$0.oid] == nil }.map { "\($0.plainName) was attached" }
        let other = members.flatMap { member -> [String] in
            guard let now = after[member.oid] else { return ["\(member.plainName) was detached or dropped"] }
            return member.changes(to: now)
        }
        return (attached + other).abridged()
    }

    /// Looks the names of a job's tables up again.
    /// - Returns: what leads elsewhere than when the job began; nil where nothing does.
    package static func change(
        of tables: [EncryptedTable], _ session: PostgresSession
    ) throws(PostgresError) -> String? {
        for table in tables {
            let later = try table.identity.readAgain(session)
            if let change = table.identity.objects.change(to: later?.objects) {
                return "\(table.name): \(change)"
            }
        }
        return nil
    }
}

extension TableIdentity.Member {
    fileprivate func changes(to later: TableIdentity.Member) -> [String] {
        var changes: [String] = []
        if StoredName(sqlName) != StoredName(later.sqlName) {
            changes.append("\(plainName) is called \(later.plainName) now")
        }
        if kind != later.kind { changes.append("\(plainName) is of another kind now") }
        if columns != later.columns {
            changes.append("an encrypted column of \(plainName) was renamed, replaced or given another type")
        }
        if parents != later.parents { changes.append("\(plainName) has other parents now") }
        if fileNode != later.fileNode { changes.append("\(plainName) was rewritten") }
        if constraints != later.constraints { changes.append("a constraint of \(plainName) has changed") }
        return changes
    }
}
