package import Postgres

/// The SQL of one leaf, built once a job: the only place where statements on a table's rows are written.
///
/// In all of them a *range* is the rows between two ids, both included, in the order of the leaf's unique
/// index; or, in the set by place, the rows stored between two places (`ctid`). Either travels as text. A column's value comes as NULL where it is NULL or surely current,
/// so that what has nothing to do costs no transfer.
package struct LeafStatements: Sendable {
    /// Locks the rows of a range that hold an old value, in id order (by place: as they are stored), skipping those
    /// that somebody else has locked. `$1…`: the range's first end, its last. Gives ctid, then each encrypted column.
    package let lockOld: PreparedStatement
    /// The same rows without locks, in no order: what is still old.
    package let readOld: PreparedStatement
    /// `$1`: `tid[]`, `$2…`: one array a column, NULL where a value stays. The rows must be locked by this
    /// transaction: `ctid` alone would not name them safely.
    package let update: PreparedStatement
    /// The same, giving for each row the ctid that was sent and each column as it was stored.
    package let updateReturning: PreparedStatement
    /// `$1`: `tid[]` of locked rows. Gives ctid and the id columns in the catalog's order, as text.
    package let identify: PreparedStatement
    /// The rows of a range that hold an old value: what a range's end at them would be, the catalog's ids as text,
    /// then each column.
    package let readOldWithIDs: PreparedStatement
    /// What a range's ends at all the rows of a range would be, without their values.
    package let readIDs: PreparedStatement
    /// Who holds the row locks in a range: pid, application_name, user, seconds the transaction is old.
    package let blockers: PreparedStatement
    /// Pages over all rows behind a cursor; see `page(after:)`.
    private let firstPage: PreparedStatement
    private let nextPage: PreparedStatement
    private let firstStrides: PreparedStatement
    private let nextStrides: PreparedStatement

    /// Block by block, how many rows hold an old value; see `blocks(_:)`.
    private let blockCounts: PreparedStatement
    /// The values in a range that only parsing can tell to be old: ctid, then each column, NULL where there is
    /// nothing to parse. By place alone.
    package let readUnlabelled: PreparedStatement

    /// Texts that make one end of a range.
    package let endCount: Int
    package let idCount: Int
    package let columnCount: Int

    /// - Parameters:
    ///   - targetKeyID: values under it are current.
    ///   - knownKeyIDs: further key ids that SQL may recognise by a canonical prefix, to save their transfer.
    ///   - byPlace: ranges lie between two places rather than between two ids.
    package init(
        _ table: EncryptedTable, _ leaf: Leaf, targetKeyID: String, knownKeyIDs: [String],
        byPlace: Bool = false
    ) {
        idCount = leaf.rangeColumns.count
        endCount = byPlace ? 1 : idCount
        columnCount = table.columns.count
        let source = LeafSource(
            table, leaf, targetKeyID: targetKeyID, knownKeyIDs: knownKeyIDs, byPlace: byPlace)
        let name = { (kind: String) in "\(kind)_\(byPlace ? "place_" : "")\(leaf.oid)" }
        lockOld = PreparedStatement(name: name("lock"), sql: source.lockOld)
        readOld = PreparedStatement(name: name("read"), sql: source.readOld)
        update = PreparedStatement(name: name("update"), sql: source.update)
        updateReturning = PreparedStatement(
            name: name("update_returning"), sql: source.update + source.returning)
        identify = PreparedStatement(name: name("identify"), sql: source.identify)
        readOldWithIDs = PreparedStatement(name: name("read_ids"), sql: source.readOldWithIDs)
        readIDs = PreparedStatement(name: name("ids"), sql: source.readIDs)
        blockers = PreparedStatement(name: name("blockers"), sql: source.blockers)
        firstPage = PreparedStatement(name: name("page_first"), sql: source.page(behindCursor: false))
        nextPage = PreparedStatement(name: name("page_next"), sql: source.page(behindCursor: true))
        firstStrides = PreparedStatement(
            name: name("strides_first"), sql: source.strides(behindCursor: false))
        nextStrides = PreparedStatement(name: name("strides_next"), sql: source.strides(behindCursor: true))
        blockCounts = PreparedStatement(name: name("block_counts"), sql: source.blockCounts)
        readUnlabelled = PreparedStatement(name: name("read_unlabelled"), sql: source.readUnlabelled)
    }

    /// The blocks among `blocks` that hold an old value: block, rows that hold one, records that are old by their
    /// label, records that only parsing can tell.
    package func blocks(_ blocks: ClosedRange<UInt32>) -> (PreparedStatement, QueryParameters) {
        var parameters = QueryParameters()
        parameters.append(int8: Int64(blocks.lowerBound))
        parameters.append(int8: Int64(blocks.upperBound))
        return (blockCounts, parameters)
    }

    /// A page of rows in id order, at most `rows` of them visited, only those given that hold an old value,
    /// and the last one visited where the page was full, so that every statement's work is bounded however
    /// few old values there are.
    ///
    /// Gives the row's number in the page (1 to `rows`), its range ids as text, then for each encrypted
    /// column: NULL (nothing to do), empty (old by its label), or the value, to be parsed.
    package func page(after cursor: [String]?, rows: Int) -> (PreparedStatement, QueryParameters) {
        var parameters = QueryParameters()
        parameters.append(int8: Int64(rows))
        for id in cursor ?? [] { parameters.append(text: id) }
        return (cursor == nil ? firstPage : nextPage, parameters)
    }

    /// The same page where most rows are old: of each `stride` of rows only the first and the last, and every row
    /// of which a column is not old by its label. Whatever is not given is old in all columns.
    package func strides(
        after cursor: [String]?, rows: Int, stride: Int
    ) -> (PreparedStatement, QueryParameters) {
        var parameters = QueryParameters()
        parameters.append(int8: Int64(rows))
        parameters.append(int8: Int64(stride))
        for id in cursor ?? [] { parameters.append(text: id) }
        return (cursor == nil ? firstStrides : nextStrides, parameters)
    }
}
