import Catalog
import Synchronization

/// Hands out block ranges of all leaves to the lanes, each block once.
final class RangeDispenser: Sendable {
    /// A leaf with what is needed to read it.
    struct Leaf: Sendable {
        let table: EncryptedTable
        let leaf: Catalog.Leaf
        let blocks: Int
        /// What a block brings with it, TOAST included.
        let bytesPerBlock: Int
    }

    struct Range: Sendable {
        /// Position in `leaves`.
        let leaf: Int
        let blocks: Swift.Range<Int>
    }

    let leaves: [Leaf]
    let totalBlocks: Int
    private let state = Mutex((leaf: 0, block: 0))

    init(_ leaves: [Leaf]) {
        self.leaves = leaves
        totalBlocks = leaves.reduce(0) { $0 + $1.blocks }
    }

    /// The next range, of as many blocks as `size` says for its leaf; nil when nothing is left.
    func next(_ size: (Leaf) -> Int) -> Range? {
        state.withLock { state in
            while state.leaf < leaves.count {
                let leaf = leaves[state.leaf]
                if state.block < leaf.blocks {
                    let end = min(state.block + max(1, size(leaf)), leaf.blocks)
                    defer { state.block = end }
                    return Range(leaf: state.leaf, blocks: state.block..<end)
                }
                state = (state.leaf + 1, 0)
            }
            return nil
        }
    }
}
