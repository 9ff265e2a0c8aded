import Postgres

/// Compares what a table says it stored with what it was sent.
enum StoredValueProof {
    /// The rows, by their number in the result that they were locked with, that came back different or not at
    /// all.
    /// - Parameter stored: the answer of `updateReturning`: the ctid that was sent, then each column.
    static func differingRows(_ rewriter: RowRewriter, _ stored: PostgresResult) -> Set<Int> {
        var storedRows: [[UInt8]: Int] = [:]
        for row in 0..<stored.rowCount {
            if let ctid = stored.bytes(row, 0) { storedRows[Array(ctid)] = row }
        }
        var differing: Set<Int> = []
        var rowOfElement: [Int?] = []
        rewriter.rows.forEachElement { index, ctid in
            let row = ctid.flatMap { storedRows[Array($0)] }
            rowOfElement.append(row)
            if row == nil { differing.insert(rewriter.sources[index]) }
        }
        for (column, values) in rewriter.values.enumerated() {
            values.forEachElement { index, sent in
                guard let sent, let row = rowOfElement[index] else { return }
                let isSame = stored.bytes(row, column + 1).map { $0.elementsEqual(sent) } ?? false
                if !isSame { differing.insert(rewriter.sources[index]) }
            }
        }
        return differing
    }
}
