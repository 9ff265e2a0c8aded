package import Postgres

extension EncryptedTable {
    /// How the relations that store the table's rows differ from those it was resolved to: a partition that
    /// was attached since holds rows that nobody enumerates or counts.
    /// - Returns: nil where they are the same; else a sentence for people.
    package func leafChange(_ session: PostgresSession) throws(PostgresError) -> String? {
        var parameters = QueryParameters()
        parameters.append(oid: oid)
        let result = try session.query(
            """
            WITH RECURSIVE tree (oid) AS (
                SELECT $1 UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
            )
            SELECT c.oid, c.oid::pg_catalog.regclass::text FROM tree JOIN pg_catalog.pg_class c USING (oid)
            WHERE c.relkind <> 'p'
            """, parameters)
        var names: [UInt32: String] = [:]
        for row in 0..<result.rowCount {
            if let oid = result.oid(row, 0) { names[oid] = result.string(row, 1) ?? "" }
        }
        let known = Set(leaves.map(\.oid))
        let added = names.filter { !known.contains($0.key) }.map(\.value).sorted()
        let gone = leaves.filter { names[$0.oid] == nil }.map(\.sqlName).sorted()
        if added.isEmpty && gone.isEmpty { return nil }
        return (added.map { "\($0) was attached" } + gone.map { "\($0) is gone" }).joined(separator: ", ")
    }
}
