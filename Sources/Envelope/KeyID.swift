/// The name of a key-encryption key, as it stands in an envelope's `key_id`: 1 to 64 of `A-Z a-z 0-9 . _ -`.
///
/// A key id is public. It is compared byte by byte.
public struct KeyID: Hashable, Sendable, CustomStringConvertible, Comparable {
    /// The id.
    public let description: String

    /// The longest id, in bytes.
    package static let maximumLength = 64

    /// The id that `text` is.
    ///
    /// - Throws: ``KeyringError/Code/malformedKeyID``, without the text: it may be a key in the wrong place.
    public init(_ text: some StringProtocol) throws(KeyringError) {
        guard Self.isWellFormed(text.utf8) else { throw KeyringError(.malformedKeyID) }
        description = String(text)
    }

    /// The id that these bytes are, or `nil` where they are none.
    package init?(bytes: some Collection<UInt8>) {
        guard Self.isWellFormed(bytes) else { return nil }
        description = String(decoding: bytes, as: UTF8.self)
    }

    /// Orders ids by their bytes.
    public static func < (left: KeyID, right: KeyID) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }

    private static func isWellFormed(_ bytes: some Collection<UInt8>) -> Bool {
        (1...maximumLength).contains(bytes.count) && bytes.allSatisfy(isAllowed)
    }

    /// Whether a key id may hold this byte.
    @inline(__always)
    static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension KeyID {
    /// The id of the key after this one: its trailing number plus one (`kek-v1` → `kek-v2`, `kek-v09` →
    /// `kek-v10`), or `-v2` appended where there is none.
    ///
    /// The number is counted up as text, so its length has no bearing.
    ///
    /// - Throws: ``KeyringError/Code/keyIDTooLong`` if the new id would be longer than 64 bytes.
    package func nextVersion() throws(KeyringError) -> KeyID {
        var bytes = Array(description.utf8)
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        if let last = bytes.last, digits.contains(last) {
            var index = bytes.endIndex
            while index > 0, bytes[index - 1] == digits.upperBound {
                index -= 1
                bytes[index] = digits.lowerBound
            }
            if index > 0, digits.contains(bytes[index - 1]) {
                bytes[index - 1] += 1
            } else {
                bytes.insert(UInt8(ascii: "1"), at: index)
            }
        } else {
            bytes.append(contentsOf: "-v2".utf8)
        }
        guard let next = KeyID(bytes: bytes) else { throw KeyringError(.keyIDTooLong, keyID: self) }
        return next
    }
}
