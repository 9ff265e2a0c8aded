package import Postgres

/// How a leaf lies on disk, as far as it bears on the order in which its rows are taken.
package struct LeafLayout: Sendable, Hashable {
    /// Blocks of its file.
    package let blocks: Int
    package let bytes: Int
    package let sharedBuffers: Int
    /// Rows have places (`ctid`) that a scan can go by.
    package let isHeap: Bool
    /// The leading column of the unique index that ranges follow.
    package let column: String
    /// How far the column's order is the rows' order on disk, -1 to 1, by the planner's statistics; nil where there
    /// are none.
    package let correlation: Double?

    package init(
        blocks: Int, bytes: Int, sharedBuffers: Int, isHeap: Bool, column: String, correlation: Double?
    ) {
        self.blocks = blocks
        self.bytes = bytes
        self.sharedBuffers = sharedBuffers
        self.isHeap = isHeap
        self.column = column
        self.correlation = correlation
    }

    /// A leaf that is gone has no blocks.
    package init(of leaf: Leaf, _ session: PostgresSession) throws(PostgresError) {
        column = leaf.rangeColumns.first?.name ?? ""
        var parameters = QueryParameters()
        parameters.append(oid: leaf.oid)
        parameters.append(text: column)
        let result = try session.query(
            """
            SELECT coalesce(c.bytes, 0), current_setting('block_size')::bigint,
                pg_size_bytes(current_setting('shared_buffers')), coalesce(c.amname = 'heap', false), s.correlation::text
            FROM (SELECT 1) AS one
            LEFT JOIN (SELECT pg_relation_size(c.oid) AS bytes, am.amname, n.nspname, c.relname
                FROM pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
                WHERE c.oid = $1) AS c ON true
            LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = c.nspname AND s.tablename = c.relname
                AND s.attname = $2 AND NOT s.inherited
            """, parameters)
        bytes = try result.number(0, 0)
        blocks = try bytes / max(1, result.number(0, 1))
        sharedBuffers = try result.number(0, 2)
        isHeap = try result.flag(0, 3)
        correlation = result.string(0, 4).flatMap { Double($0) }
    }
}
