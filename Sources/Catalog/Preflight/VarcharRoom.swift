import Postgres

/// Whether the values of `varchar(n)` columns still fit once their key id is replaced by a longer one (else
/// SQLSTATE 22001, row by row). Rewrapping changes no other length. Looks at values in the canonical form,
/// whose key id SQL can tell; one full scan of a leaf a column, in statements of bounded length, and none where
/// no old id is shorter.
struct VarcharRoom {
    private let table: EncryptedTable
    private let targetKeyID: String
    /// Those that are shorter than the target's id.
    private let shorterKeyIDs: [String]
    private let severity: CatalogProblem.Severity

    init(
        _ table: EncryptedTable, targetKeyID: String, otherKeyIDs: [String], severity: CatalogProblem.Severity
    ) {
        self.table = table
        self.targetKeyID = targetKeyID
        self.shorterKeyIDs = otherKeyIDs.filter { $0.unicodeScalars.count < targetKeyID.unicodeScalars.count }
        self.severity = severity
    }

    func problems(session: PostgresSession) throws(PostgresError) -> [CatalogProblem] {
        var problems: [CatalogProblem] = []
        if shorterKeyIDs.isEmpty { return [] }
        for column in table.columns {
            guard case .varchar(let limit?) = column.type else { continue }
            var needed = 0
            var crowded: [String] = []
            for leaf in table.leaves {
                let length = try longest(column.name, in: leaf, session: session)
                if length > limit { crowded.append(leaf.sqlName) }
                needed = max(needed, length)
            }
            if crowded.isEmpty { continue }
            let alter = "ALTER TABLE \(crowded[0]) ALTER COLUMN \(SQLIdentifier.quoted(column.name)) TYPE"
            problems.append(
                CatalogProblem(
                    severity, table: table.name, column: column.name,
                    "\(crowded.abridged()): values would grow to \(needed) characters under the key id "
                        + "\(targetKeyID), and the column holds \(limit)",
                    mend: "\(alter) varchar(\(needed)), or text, which rewrites nothing; "
                        + "of a tree, alter its root"))
        }
        return problems
    }

    /// The longest value's characters after the replacement; 0 where no value is affected.
    private func longest(
        _ column: String, in leaf: Leaf, session: PostgresSession
    ) throws(PostgresError) -> Int {
        let name = "leaf." + SQLIdentifier.quoted(column)
        let blocks = try session.query(
            "SELECT pg_catalog.pg_relation_size(\(leaf.oid)) / current_setting('block_size')::bigint"
        ).number(0, 0)
        var longest = 0
        for start in stride(from: 0, to: blocks, by: Self.blocksAtOnce) {
            var parameters = QueryParameters()
            parameters.append(texts: shorterKeyIDs)
            parameters.append(int4: Int32(targetKeyID.unicodeScalars.count))
            parameters.append(int8: Int64(start))
            parameters.append(int8: Int64(start + Self.blocksAtOnce))
            // starts_with refuses a nondeterministic collation, hence "C".
            let result = try session.query(
                """
                SELECT COALESCE(pg_catalog.max(
                    pg_catalog.char_length(\(name)) - pg_catalog.char_length(old.id) + $2), 0)
                FROM ONLY \(leaf.sqlName) leaf JOIN pg_catalog.unnest($1) AS old (id)
                    ON pg_catalog.starts_with((\(name))::text COLLATE "C",
                        '{"version":1,"alg":"AES-256-GCM","key_id":"' || old.id || '",')
                WHERE leaf.ctid >= pg_catalog.format('(%s,0)', $3)::tid
                    AND leaf.ctid < pg_catalog.format('(%s,0)', $4)::tid
                """, parameters)
            longest = max(longest, try result.number(0, 0))
        }
        return longest
    }

    private static let blocksAtOnce = 8_192
}
