/// The SQL texts behind `LeafStatements`.
struct LeafSource {
    private let leaf: String
    private let idColumns: [IDColumn]
    private let rangeColumns: [IDColumn]
    private let columns: [EncryptedColumn]
    private let targetKeyID: String
    private let knownKeyIDs: [String]
    private let byPlace: Bool

    /// - Parameter byPlace: ranges lie between two places (`ctid`) rather than between two ids.
    init(
        _ table: EncryptedTable, _ leaf: Leaf, targetKeyID: String, knownKeyIDs: [String], byPlace: Bool
    ) {
        self.byPlace = byPlace
        self.leaf = leaf.sqlName
        self.idColumns = table.idColumns
        self.rangeColumns = leaf.rangeColumns
        self.columns = table.columns
        self.targetKeyID = targetKeyID
        self.knownKeyIDs = knownKeyIDs.filter { $0 != targetKeyID }
    }

    var lockOld: String {
        """
        SELECT t.ctid, \(columns.map(valueUnlessCurrent).joined(separator: ", ")) FROM ONLY \(leaf) AS t \
        WHERE \(inRange) AND \(holdsOld)\(byPlace ? "" : " ORDER BY " + order) FOR NO KEY UPDATE SKIP LOCKED
        """
    }

    var readOld: String {
        """
        SELECT t.ctid, \(columns.map(valueUnlessCurrent).joined(separator: ", ")) FROM ONLY \(leaf) AS t \
        WHERE \(inRange) AND \(holdsOld)
        """
    }

    var readOldWithIDs: String {
        let ids = idColumns.map { "t.\(SQLIdentifier.quoted($0.name))::text" }
        return """
            SELECT \((ends + ids + columns.map(valueUnlessCurrent)).joined(separator: ", ")) \
            FROM ONLY \(leaf) AS t WHERE \(inRange) AND \(holdsOld) ORDER BY \(order)
            """
    }

    /// Reads no value: what makes a value unreadable must not keep its range from being cut.
    var readIDs: String {
        return
            "SELECT \(ends.joined(separator: ", ")) FROM ONLY \(leaf) AS t WHERE \(inRange) ORDER BY \(order)"
    }

    /// Runs under the role's path, since triggers, constraints and index expressions of the application run with it:
    /// nothing in it is looked up by name.
    var update: String {
        let names = columns.indices.map { "v\($0)" }
        let assignments = zip(columns, names).map { column, name in
            let quoted = SQLIdentifier.quoted(column.name)
            let value = columns.count == 1 ? "v.\(name)" : "coalesce(v.\(name), t.\(quoted))"
            return "\(quoted) = \(value)"
        }
        // A set-returning function in the select list hands its rows on one by one; in FROM it would copy all of
        // them into a store first.
        let elements =
            ["pg_catalog.unnest($1::pg_catalog.tid[]) AS row"]
            + zip(columns, names).enumerated().map { index, pair in
                "pg_catalog.unnest($\(index + 2)::pg_catalog.\(arrayType(pair.0.type))) AS \(pair.1)"
            }
        return """
            UPDATE ONLY \(leaf) AS t SET \(assignments.joined(separator: ", ")) \
            FROM (SELECT \(elements.joined(separator: ", "))) AS v WHERE t.ctid OPERATOR(pg_catalog.=) v.row
            """
    }

    var returning: String {
        " RETURNING v.row, " + columns.map { "t." + SQLIdentifier.quoted($0.name) }.joined(separator: ", ")
    }

    var identify: String {
        let ids = idColumns.map { "t.\(SQLIdentifier.quoted($0.name))::text" }.joined(separator: ", ")
        return "SELECT t.ctid, \(ids) FROM ONLY \(leaf) AS t WHERE t.ctid = ANY($1::tid[])"
    }

    /// A locker that is alone on a row is in its `xmax`, and holds the lock on its own transaction id.
    /// Several lockers of one row (a multixact) are not told apart.
    var blockers: String {
        """
        SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), \
        coalesce(extract(epoch FROM now() - a.xact_start), 0)::bigint \
        FROM (SELECT DISTINCT t.xmax AS locker FROM ONLY \(leaf) AS t WHERE \(inRange) AND \(holdsOld)) AS x \
        JOIN pg_locks AS l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = x.locker \
        JOIN pg_stat_activity AS a ON a.pid = l.pid ORDER BY a.xact_start LIMIT 3
        """
    }

    /// `$1`: rows a page; `$2…`: the cursor's id. The rows that hold an old value.
    func page(behindCursor: Bool) -> String {
        page(behindCursor, cursorAt: 2) { $0.map { "p.\($0) IS NOT NULL" } }
    }

    /// `$1`: rows a page; `$2`: rows a stride; `$3…`: the cursor's id. The first and the last row of each stride,
    /// and every row of which a column is not old by its label.
    func strides(behindCursor: Bool) -> String {
        page(behindCursor, cursorAt: 3) { cells in
            ["p.n % $2::bigint <= 1"] + cells.flatMap { ["p.\($0) IS NULL", "octet_length(p.\($0)) > 0"] }
        }
    }

    private func page(
        _ behindCursor: Bool, cursorAt number: Int, _ wanted: (_ cells: [String]) -> [String]
    ) -> String {
        let ids = rangeColumns.map { SQLIdentifier.quoted($0.name) }
        let behind = behindCursor ? "WHERE \(row(rangeColumns)) > \(bound(startingAt: number))" : ""
        // The cells of a page are named by position: an id or a column may have any name.
        let idCells = rangeColumns.indices.map { "i\($0)" }
        let cells = columns.indices.map { "c\($0)" }
        let states = zip(columns, cells).map { column, cell in "\(state(column)) AS \(cell)" }
        let inner = zip(ids, idCells).map { "t.\($0) AS \($1)" } + states
        let given = wanted(cells) + ["p.n = $1"]
        return """
            SELECT p.n, \((idCells.map { "p.\($0)::text" } + cells.map { "p.\($0)" }).joined(separator: ", ")) \
            FROM (SELECT s.*, row_number() OVER () AS n FROM (SELECT \(inner.joined(separator: ", ")) \
            FROM ONLY \(leaf) AS t \(behind) ORDER BY \(order) LIMIT $1) AS s) AS p \
            WHERE \(given.joined(separator: " OR ")) ORDER BY p.n
            """
    }

    /// `$1`, `$2`: first and last block. Each block is a scan of its own, so that the server need not take a
    /// row's `ctid` apart.
    var blockCounts: String {
        let notCurrent = columns.map { predicate($0).isNeitherNullNorLabelled(targetKeyID) }
        let all = notCurrent.map { columns.count == 1 ? "count(*)" : "count(*) FILTER (WHERE \($0))" }
        let labelled = zip(columns, notCurrent).map { column, notCurrent in
            let labels = knownKeyIDs.map { predicate(column).begins(under: $0) }
            return labels.isEmpty
                ? "0" : "count(*) FILTER (WHERE \(notCurrent) AND (\(labels.joined(separator: " OR "))))"
        }
        let old = labelled.joined(separator: " + ")
        return """
            SELECT b.block, s.n, s.old, s.held - s.old FROM generate_series($1, $2) AS b(block), \
            LATERAL (SELECT count(*) AS n, \(old) AS old, \(all.joined(separator: " + ")) AS held \
            FROM ONLY \(leaf) AS t WHERE t.ctid >= ('(' || b.block || ',0)')::tid \
            AND t.ctid <= ('(' || b.block || ',65535)')::tid AND \(holdsOld)) AS s \
            WHERE s.n > 0 ORDER BY b.block
            """
    }

    /// `$1`, `$2`: first and last place.
    var readUnlabelled: String {
        let cells = columns.indices.map { "c\($0)" }
        let states = zip(columns, cells).map { "\(state($0, vouched: "NULL")) AS \($1)" }
        return """
            SELECT p.ctid, \(cells.map { "p." + $0 }.joined(separator: ", ")) \
            FROM (SELECT t.ctid, \(states.joined(separator: ", ")) FROM ONLY \(leaf) AS t \
            WHERE \(inRange) OFFSET 0) AS p \
            WHERE \(cells.map { "p.\($0) IS NOT NULL" }.joined(separator: " OR ")) ORDER BY p.ctid
            """
    }

    // MARK: Parts

    private func predicate(_ column: EncryptedColumn) -> LabelPredicate {
        LabelPredicate(of: "t." + SQLIdentifier.quoted(column.name), column.type)
    }

    private func valueUnlessCurrent(_ column: EncryptedColumn) -> String {
        let predicate = predicate(column)
        let value = "t." + SQLIdentifier.quoted(column.name)
        // Of a single column, WHERE has said so already.
        if columns.count == 1 { return value }
        return "CASE WHEN \(predicate.isNeitherNullNorLabelled(targetKeyID)) THEN \(value) END"
    }

    /// - Parameter vouched: what stands for an old value that SQL recognises.
    private func state(_ column: EncryptedColumn, vouched: String? = nil) -> String {
        let predicate = predicate(column)
        let vouched = vouched ?? predicate.emptyParsable
        let labels = knownKeyIDs.map { predicate.begins(under: $0) }
        // A value begins with one prefix at most. Old ones first: in a job most values are.
        let old =
            labels.isEmpty ? "" : "WHEN \(labels.joined(separator: " OR ")) THEN \(vouched) "
        return "CASE \(old)WHEN \(predicate.isLabelled(targetKeyID)) THEN NULL ELSE \(predicate.parsable) END"
    }

    private var holdsOld: String {
        "("
            + columns.map { predicate($0).isNeitherNullNorLabelled(targetKeyID) }.joined(separator: " OR ")
            + ")"
    }

    /// What a range's ends are made of, as text.
    private var ends: [String] {
        byPlace ? ["t.ctid::text"] : rangeColumns.map { "t.\(SQLIdentifier.quoted($0.name))::text" }
    }

    private var order: String {
        if byPlace { return "t.ctid" }
        return rangeColumns.map { "t.\(SQLIdentifier.quoted($0.name))" + collation($0) }.joined(
            separator: ", ")
    }

    private var inRange: String {
        if byPlace { return "t.ctid >= $1::text::tid AND t.ctid <= $2::text::tid" }
        let row = row(rangeColumns)
        let last = bound(startingAt: 1 + rangeColumns.count)
        return "\(row) >= \(bound(startingAt: 1)) AND \(row) <= \(last)"
    }

    private func row(_ columns: [IDColumn]) -> String {
        list(columns.map { "t.\(SQLIdentifier.quoted($0.name))" + collation($0) })
    }

    private func bound(startingAt number: Int) -> String {
        list(
            rangeColumns.enumerated().map { index, column in
                "$\(number + index)::text::\(column.type)" + collation(column)
            })
    }

    private func list(_ items: [String]) -> String {
        items.count == 1 ? items[0] : "(" + items.joined(separator: ", ") + ")"
    }

    private func collation(_ column: IDColumn) -> String {
        column.collation.map { " COLLATE " + $0 } ?? ""
    }

    private func arrayType(_ type: ColumnType) -> String {
        switch type {
        case .bytea: "bytea[]"
        case .text, .varchar: "text[]"
        case .json: "json[]"
        case .jsonb: "jsonb[]"
        }
    }
}
