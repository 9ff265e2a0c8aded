import Postgres

/// A relation with everything below it, and the topmost relations above it. Partitions and plain
/// inheritance are both rows of `pg_inherits`.
struct RelationTree {
    let root: Relation
    /// The root and all of its descendants, each once.
    let members: [Relation]
    /// Members that `DETACH PARTITION … CONCURRENTLY` is taking off, or was when it was interrupted. Queries
    /// through the root pass them over already, but their rows are under the old key all the same.
    let detaching: Set<UInt32>
    /// The smallest oid among the topmost ancestors; the root's own where it has none.
    let topmostOID: UInt32

    init(of root: Relation, session: PostgresSession) throws(PostgresError) {
        var parameters = QueryParameters()
        parameters.append(oid: root.oid)
        let below = try session.query(
            """
            WITH RECURSIVE tree (oid, detaching) AS (
                SELECT $1, false
                UNION
                SELECT i.inhrelid, tree.detaching OR i.inhdetachpending
                FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
            ), member AS (
                SELECT oid, pg_catalog.bool_or(detaching) AS detaching FROM tree GROUP BY oid
            )
            SELECT \(Relation.cells), member.detaching
            FROM member
            JOIN pg_catalog.pg_class c ON c.oid = member.oid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            ORDER BY c.oid <> $1, n.nspname, c.relname
            """, parameters)
        var members: [Relation] = []
        var detaching: Set<UInt32> = []
        for row in 0..<below.rowCount {
            let member = try Relation(below, row)
            members.append(member)
            if try below.flag(row, 5) { detaching.insert(member.oid) }
        }
        let above = try session.query(
            """
            WITH RECURSIVE ancestor (oid) AS (
                SELECT $1
                UNION
                SELECT i.inhparent FROM ancestor JOIN pg_catalog.pg_inherits i ON i.inhrelid = ancestor.oid
            )
            SELECT pg_catalog.min(oid) FROM ancestor
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = ancestor.oid)
            """, parameters)
        self.root = root
        self.members = members
        self.detaching = detaching
        self.topmostOID = try above.objectID(0, 0)
    }

    /// The members that store rows.
    var storing: [Relation] { members.filter { $0.kind != .partitionedTable } }
}
