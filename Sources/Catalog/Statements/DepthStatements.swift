package import Postgres

/// The SQL that fetches every value of one leaf, block range by block range, to be opened by the client.
package struct DepthStatements: Sendable {
    /// `$1`, `$2`: first block, first block behind. Gives ctid, then each column as it is parsed; last, NULL. Of
    /// a row with a value beyond `largestAtOnce`, no value, and last the bytes of them all: a block may refer to
    /// gigabytes of them.
    package let values: PreparedStatement
    /// The same of the row versions that were written by a transaction with an id of at least `$3`.
    package let laterValues: PreparedStatement
    /// The same for a part of the rows, drawn at random: `$3` is the chance of each in millionths.
    package let sampledValues: PreparedStatement
    /// `$1`: `tid[]`. The same of these rows, with their values however large.
    package let largeValues: PreparedStatement
    /// `$1`: `tid[]`. Gives ctid, then the id columns in the catalog's order, as text.
    package let identify: PreparedStatement
    /// The leaf's size in blocks, the bytes a block stands for with its values stored elsewhere, and whether there are
    /// rows without any block.
    package let size: PreparedStatement

    package init(_ table: EncryptedTable, _ leaf: Leaf) {
        let name = { (kind: String) in "depth_\(kind)_\(leaf.oid)" }
        let columns = table.columns.map {
            LabelPredicate(of: "t." + SQLIdentifier.quoted($0.name), $0.type).parsable
        }
        let from = "FROM ONLY \(leaf.sqlName) AS t"
        let isLarge = table.columns.map { Self.isLarge($0) }.joined(separator: " OR ")
        let cells = columns.map { "CASE WHEN \(isLarge) THEN NULL ELSE \($0) END" }
        let bytes = columns.map { "coalesce(octet_length(\($0)), 0)::bigint" }.joined(separator: " + ")
        let select =
            "SELECT t.ctid, \(cells.joined(separator: ", ")), CASE WHEN \(isLarge) THEN \(bytes) END \(from)"
        let inBlocks =
            "t.ctid >= format('(%s,0)', $1::bigint)::tid AND t.ctid < format('(%s,0)', $2::bigint)::tid"
        values = PreparedStatement(name: name("values"), sql: "\(select) WHERE \(inBlocks)")
        // A frozen version keeps the id that it was written under; one that is older than 2^31 ids may be taken for
        // a later one, which costs a look and no more.
        laterValues = PreparedStatement(
            name: name("later"), sql: "\(select) WHERE \(inBlocks) AND age(t.xmin) <= age($3::text::xid)")
        sampledValues = PreparedStatement(
            name: name("sample"), sql: "\(select) WHERE \(inBlocks) AND random() * 1000000 < $3::bigint")
        largeValues = PreparedStatement(
            name: name("large"),
            sql:
                "SELECT t.ctid, \(columns.joined(separator: ", ")), NULL::bigint \(from) WHERE t.ctid = ANY($1::tid[])"
        )
        let ids = table.idColumns.map { "t.\(SQLIdentifier.quoted($0.name))::text" }.joined(separator: ", ")
        identify = PreparedStatement(
            name: name("identify"),
            sql: "SELECT t.ctid, \(ids) \(from) WHERE t.ctid = ANY($1::tid[])")
        // What TOAST holds comes with the rows that refer to it.
        size = PreparedStatement(
            name: name("size"),
            sql: """
                SELECT b.blocks, pg_table_size(\(leaf.oid)) / greatest(b.blocks, 1), \
                b.blocks = 0 AND EXISTS (SELECT \(from)) FROM (SELECT pg_relation_size(\(leaf.oid)) / current_setting('block_size')::bigint AS blocks) AS b
                """)
    }

    /// Bytes of a value that is fetched with its range. Larger ones are mostly stored outside of their block, so
    /// nothing bounds how many a block refers to.
    private static let largestAtOnce = 2_000

    /// Without reading the value itself. A JSON type does not say how long its text is, but how long it is stored.
    private static func isLarge(_ column: EncryptedColumn) -> String {
        let reference = "t." + SQLIdentifier.quoted(column.name)
        return switch column.type {
        case .bytea, .text, .varchar: "octet_length(\(reference)) > \(largestAtOnce)"
        case .json, .jsonb: "pg_column_size(\(reference)) > \(largestAtOnce)"
        }
    }
}
