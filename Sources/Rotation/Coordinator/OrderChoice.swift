package import BatchQueue
package import Catalog

/// In which order a leaf is walked, and why.
///
/// Where keys are random on disk and the leaf is larger than the server's buffers, key order reads and dirties
/// another block for each row, and after each checkpoint logs it whole; physical order does so once a block.
/// Otherwise the two are equally fast, and key order misses nothing that moves.
package struct OrderChoice: Sendable, Hashable {
    package let kind: BatchRange.Kind
    package let reason: String
    /// False where the operator asked for another order.
    package let isWhatWasAskedFor: Bool

    /// Of the leading id column, whichever way it runs: below, keys count as random.
    static let randomBelow = 0.5

    package init(_ order: RowOrder, _ layout: LeafLayout) {
        guard order != .key else {
            self.init(.ids, "as asked for")
            return
        }
        guard layout.isHeap else {
            self.init(.ids, "its rows have no places to go by", isWhatWasAskedFor: order == .auto)
            return
        }
        guard order == .auto else {
            self.init(.blocks, "as asked for")
            return
        }
        let size = "\(layout.bytes >> 20) MiB, shared_buffers \(layout.sharedBuffers >> 20) MiB"
        guard layout.bytes > layout.sharedBuffers else {
            self.init(.ids, "it fits into the server's buffers: \(size)")
            return
        }
        guard let correlation = layout.correlation else {
            self.init(
                .ids, "there are no statistics of \(layout.column), which ANALYZE would gather; \(size)")
            return
        }
        let rounded = (correlation * 100).rounded() / 100
        if abs(correlation) < Self.randomBelow {
            self.init(
                .blocks, "\(layout.column) is random on disk, its correlation \(rounded); \(size)")
        } else {
            self.init(
                .ids, "\(layout.column) follows the order on disk, its correlation \(rounded); \(size)")
        }
    }

    private init(_ kind: BatchRange.Kind, _ reason: String, isWhatWasAskedFor: Bool = true) {
        self.kind = kind
        self.reason = reason
        self.isWhatWasAskedFor = isWhatWasAskedFor
    }
}
