package import Postgres

/// Logical subscriptions that write into a table of the catalog: what the publisher holds under an old key arrives
/// here after every look at the table.
package enum SubscriptionTargets {
    /// - Parameter severity: a rotation goes on with a warning. A fence must not be added: the subscription's worker
    ///   would fail on it again and again, and nothing would be replicated any more.
    package static func problems(
        _ table: EncryptedTable, severity: CatalogProblem.Severity, session: PostgresSession
    ) throws(PostgresError) -> [CatalogProblem] {
        try all(table, session: session).map { target in
            CatalogProblem(
                severity, table: table.name,
                "\(target.relations.abridged()) is written by the logical subscription \(target.name), which is "
                    + "\(target.isEnabled ? "enabled" : "disabled"): values of its publisher arrive here under the keys "
                    + "that they have there",
                mend:
                    "rotate the publisher's database and verify it, then take the table out of the publication and "
                    + "ALTER SUBSCRIPTION … REFRESH PUBLICATION, or DROP SUBSCRIPTION")
        }
    }

    private struct Target {
        let name: String
        let isEnabled: Bool
        let relations: [String]
    }

    /// By subscription. A row that is applied to a root goes to its partitions, so everything above the table counts
    /// as well as everything below. The subscription's name is readable by all, but for its connection; where somebody
    /// has taken that away, its oid has to do.
    private static func all(
        _ table: EncryptedTable, session: PostgresSession
    ) throws(PostgresError) -> [Target] {
        let mayName = try session.query(
            """
            SELECT pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'subname', 'SELECT')
                AND pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'subenabled', 'SELECT')
                AND pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'oid', 'SELECT')
            """
        ).flag(0, 0)
        let name = mayName ? "s.subname::text" : "pg_catalog.concat('with the oid ', t.srsubid)"
        let isEnabled = mayName ? "s.subenabled" : "true"
        let from = mayName ? "JOIN pg_catalog.pg_subscription s ON s.oid = t.srsubid" : ""
        let result = try session.query(
            """
            WITH RECURSIVE below (oid) AS (
                SELECT l FROM pg_catalog.unnest($1) l
                UNION
                SELECT i.inhrelid FROM below JOIN pg_catalog.pg_inherits i ON i.inhparent = below.oid
            ), related (oid) AS (
                SELECT oid FROM below
                UNION
                SELECT i.inhparent FROM related JOIN pg_catalog.pg_inherits i ON i.inhrelid = related.oid
            )
            SELECT \(name), \(isEnabled), \(Relation.cells)
            FROM related
            JOIN pg_catalog.pg_subscription_rel t ON t.srrelid = related.oid
            JOIN pg_catalog.pg_class c ON c.oid = t.srrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            \(from)
            ORDER BY 1, n.nspname, c.relname
            """, table.relationParameter())
        var targets: [Target] = []
        for row in 0..<result.rowCount {
            let name = try result.text(row, 0)
            let relation = try Relation(result, row, from: 2).sqlName
            let known = targets.last.flatMap { $0.name == name ? $0.relations : nil }
            if known != nil { targets.removeLast() }
            targets.append(
                Target(
                    name: name, isEnabled: try result.flag(row, 1), relations: (known ?? []) + [relation]))
        }
        return targets
    }
}
