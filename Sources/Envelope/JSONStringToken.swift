/// Where a JSON string stands in a value: the bytes between its quotes.
package struct JSONStringToken: Hashable, Sendable {
    /// The offset behind the opening quote.
    package let lowerBound: Int
    /// The offset of the closing quote.
    package let upperBound: Int
    /// Whether a backslash stands between them, so that the bytes are not what they mean.
    package let hasEscapes: Bool

    /// The bytes between the quotes.
    package var range: Range<Int> { lowerBound..<upperBound }
    /// How many bytes stand between the quotes.
    @inline(__always)
    package var count: Int { upperBound &- lowerBound }

    static let none = JSONStringToken(lowerBound: 0, upperBound: 0, hasEscapes: false)
}

/// The bytes that a JSON string means, one at a time and as far as they are ASCII.
///
/// Whatever is not comes out as bytes from 0x80, which occur in no member name, key id or base64: enough to
/// tell that a string is none of these.
struct JSONStringBytes: IteratorProtocol {
    private let start: UnsafeRawPointer
    private var offset: Int
    private let end: Int

    /// - Parameters:
    ///   - token: A string that the scanner has passed over, so every escape in it is whole.
    ///   - start: The first byte of the value.
    init(_ token: JSONStringToken, in start: UnsafeRawPointer) {
        self.start = start
        offset = token.lowerBound
        end = token.upperBound
    }

    mutating func next() -> UInt8? {
        guard offset < end else { return nil }
        let byte = take()
        guard byte == UInt8(ascii: "\\") else { return byte }
        let escaped = take()
        switch escaped {
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0C
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "u"):
            var unit: UInt16 = 0
            for _ in 0..<4 { unit = unit << 4 | UInt16(HexDigit.value(of: take()) ?? 0) }
            return unit < 0x80 ? UInt8(unit) : 0xFF
        default: return escaped
        }
    }

    private mutating func take() -> UInt8 {
        guard offset < end else { return 0xFF }
        defer { offset += 1 }
        return start.load(fromByteOffset: offset, as: UInt8.self)
    }
}
