/// A key id's bytes in place, so that parsing and comparing one allocates nothing.
package struct KeyIDBytes: Sendable {
    private var bytes = InlineArray<64, UInt8>(repeating: 0)
    private var count = 0

    init() {}

    /// The bytes of an id, for comparison with ``ParsedEnvelope/hasKeyID(_:)``.
    package init(_ id: KeyID) {
        for byte in id.description.utf8 { append(byte) }
    }

    /// Takes these bytes in place of what it held; false if they are no key id.
    @inline(__always)
    mutating func take(_ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count > 0, text.count <= KeyID.maximumLength else { return false }
        for index in 0..<text.count {
            let byte = text[index]
            guard KeyID.isAllowed(byte) else { return false }
            bytes[index] = byte
        }
        count = text.count
        return true
    }

    /// The same for a string with escapes.
    mutating func take(_ text: consuming JSONStringBytes) -> Bool {
        count = 0
        while let byte = text.next() {
            guard append(byte) else { return false }
        }
        return count > 0
    }

    @discardableResult
    private mutating func append(_ byte: UInt8) -> Bool {
        guard count < KeyID.maximumLength, KeyID.isAllowed(byte) else { return false }
        bytes[count] = byte
        count += 1
        return true
    }

    @inline(__always)
    func isEqual(to other: borrowing KeyIDBytes) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where bytes[index] != other.bytes[index] { return false }
        return true
    }

    /// The id, or `nil` where it holds none.
    var keyID: KeyID? {
        KeyID(bytes: (0..<count).map { bytes[$0] })
    }
}
