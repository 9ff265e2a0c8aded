package import Postgres

/// The SQL of a census of one leaf: every value's label, counted block range by block range, so that each
/// statement's duration is bounded. All of it runs in one snapshot.
package struct CensusStatements: Sendable {
    /// Codes that `count` gives for a value; labels of key ids follow from `firstKey` on.
    package enum Code {
        package static let null = 0
        package static let unlabelled = 1
        package static let firstKey = 2
    }

    /// `$1`, `$2`: first block, first block behind. Gives the number of rows, then for each column how many
    /// values it has, and how many of them are labelled with the first of the key ids. Where that is all of
    /// them, `count` has nothing to add, and costs the server half as much again.
    package let countFirstKey: PreparedStatement
    /// `$1`, `$2` as above. Gives one code a column, and how many rows have them.
    package let count: PreparedStatement
    /// The values that no label predicate claims, one cell a column, NULL where one does; `$1`, `$2` as above.
    package let unlabelled: PreparedStatement
    /// One statement a column: values in the blocks `$1`, `$2` under the label with the code `$3`, or none
    /// that a predicate claims; up to `$4`.
    package let sample: [PreparedStatement]
    /// The leaf's size in blocks, and whether there are rows without any block.
    package let blockCount: PreparedStatement

    /// - Parameter keyIDs: the ids to recognise in SQL, in the order of their codes; the one that most values
    ///   are expected under comes first.
    package init(_ table: EncryptedTable, _ leaf: Leaf, keyIDs: [String]) {
        let name = { (kind: String) in "census_\(kind)_\(leaf.oid)" }
        let inBlocks =
            "t.ctid >= format('(%s,0)', $1::bigint)::tid AND t.ctid < format('(%s,0)', $2::bigint)::tid"
        let codes = table.columns.map { Self.code($0, keyIDs) }
        let cells = codes.indices.map { "c\($0)" }
        let named = zip(codes, cells).map { "\($0) AS \($1)" }.joined(separator: ", ")
        let group = cells.joined(separator: ", ")
        let tallies = table.columns.map { column in
            let labelled = keyIDs.first.map {
                LabelPredicate(of: Self.reference(column), column.type).isLabelled($0)
            }
            return "count(\(Self.reference(column))), count(*) FILTER (WHERE \(labelled ?? "false"))"
        }
        countFirstKey = PreparedStatement(
            name: name("first"),
            sql: """
                SELECT count(*), \(tallies.joined(separator: ", ")) FROM ONLY \(leaf.sqlName) AS t WHERE \(inBlocks)
                """)
        count = PreparedStatement(
            name: name("count"),
            sql: """
                SELECT \(group), count(*) FROM (SELECT \(named) FROM ONLY \(leaf.sqlName) AS t WHERE \(inBlocks)) \
                AS s GROUP BY \(group)
                """)
        let values = zip(table.columns, codes).map { column, code in
            let value = LabelPredicate(of: Self.reference(column), column.type).parsable
            return "CASE WHEN \(code) = \(Code.unlabelled) THEN \(value) END"
        }
        let any = codes.map { "\($0) = \(Code.unlabelled)" }.joined(separator: " OR ")
        unlabelled = PreparedStatement(
            name: name("unlabelled"),
            sql: """
                SELECT \(values.joined(separator: ", ")) FROM ONLY \(leaf.sqlName) AS t \
                WHERE \(inBlocks) AND (\(any))
                """)
        sample = zip(table.columns, codes).enumerated().map { index, pair in
            let value = LabelPredicate(of: Self.reference(pair.0), pair.0.type).parsable
            return PreparedStatement(
                name: name("sample\(index)"),
                sql: """
                    SELECT \(value) FROM ONLY \(leaf.sqlName) AS t \
                    WHERE \(inBlocks) AND \(pair.1) IN ($3, \(Code.unlabelled)) LIMIT $4
                    """)
        }
        blockCount = PreparedStatement(
            name: name("blocks"),
            sql: """
                SELECT b.blocks, b.blocks = 0 AND EXISTS (SELECT FROM ONLY \(leaf.sqlName)) \
                FROM (SELECT pg_relation_size(\(leaf.oid)) / current_setting('block_size')::bigint AS blocks) AS b
                """)
    }

    private static func reference(_ column: EncryptedColumn) -> String {
        "t." + SQLIdentifier.quoted(column.name)
    }

    private static func code(_ column: EncryptedColumn, _ keyIDs: [String]) -> String {
        let predicate = LabelPredicate(of: reference(column), column.type)
        let labels = keyIDs.enumerated().map { index, keyID in
            "WHEN \(predicate.isLabelled(keyID)) THEN \(Code.firstKey + index)"
        }
        return
            "(CASE WHEN \(reference(column)) IS NULL THEN \(Code.null) \(labels.joined(separator: " ")) ELSE \(Code.unlabelled) END)"
    }
}
