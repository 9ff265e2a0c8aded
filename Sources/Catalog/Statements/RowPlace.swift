/// Where a row version is stored in its leaf: a `ctid`.
package struct RowPlace: Sendable, Hashable {
    package let block: UInt32
    package let offset: UInt16

    package init(block: UInt32, offset: UInt16) {
        self.block = block
        self.offset = offset
    }

    /// The first place that a block may have, and the last.
    package static func first(of block: UInt32) -> RowPlace { RowPlace(block: block, offset: 0) }
    package static func last(of block: UInt32) -> RowPlace { RowPlace(block: block, offset: .max) }

    /// PostgreSQL's text form, `(block,offset)`, and nothing that it would not take for one.
    package init?(_ text: String) {
        guard text.hasPrefix("("), text.hasSuffix(")") else { return nil }
        let parts = text.dropFirst().dropLast().split(
            separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let block = UInt32(parts[0]), let offset = UInt16(parts[1])
        else { return nil }
        self.init(block: block, offset: offset)
    }

    /// From the binary form that the server sends.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 6 else { return nil }
        self.init(
            block: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)),
            offset: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
    }

    package var text: String { "(\(block),\(offset))" }
}
