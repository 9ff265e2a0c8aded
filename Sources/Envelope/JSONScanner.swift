/// A cursor over bytes that knows the grammar of JSON (RFC 8259) and builds nothing.
///
/// Each method expects the cursor at the first byte of what it is named for and leaves it behind the last. It
/// never reads outside of the bytes and never recurses, so no input can exhaust the stack.
struct JSONScanner {
    /// The bytes, which outlive the scanner: it exists only within one call that was lent them.
    let start: UnsafeRawPointer
    let count: Int
    var offset = 0

    /// How deep objects and arrays may nest (RFC 8259, section 9).
    static let maximumDepth = 128

    /// A scanner at the first byte; an empty value is not JSON.
    init(_ bytes: UnsafeRawBufferPointer) throws(EnvelopeError) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { throw EnvelopeError(.notJSON, offset: 0) }
        self.start = start
        count = bytes.count
    }

    /// The byte at the cursor, or `nil` at the end.
    @inline(__always)
    var byte: UInt8? { offset < count ? self[offset] : nil }

    /// The byte at an offset that is known to be within.
    @inline(__always)
    subscript(_ offset: Int) -> UInt8 { start.load(fromByteOffset: offset, as: UInt8.self) }

    @inline(never)
    func notJSON() -> EnvelopeError { EnvelopeError(.notJSON, offset: offset) }

    @inline(__always)
    mutating func skipWhiteSpace() {
        while offset < count {
            let byte = self[offset]
            // Most bytes that a token begins with are above the space: one comparison.
            guard byte <= 0x20, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            offset &+= 1
        }
    }

    /// Passes over `expected` if it is at the cursor.
    @inline(__always)
    mutating func consume(_ expected: UInt8) -> Bool {
        guard offset < count, self[offset] == expected else { return false }
        offset &+= 1
        return true
    }

    @inline(__always)
    mutating func expect(_ expected: UInt8) throws(EnvelopeError) {
        guard consume(expected) else { throw notJSON() }
    }

    /// `true`, `false` or `null`.
    mutating func skipLiteral(_ literal: StaticString) throws(EnvelopeError) {
        let length = literal.utf8CodeUnitCount
        guard count - offset >= length,
            bytesEqual(UnsafeRawBufferPointer(start: start + offset, count: length), literal)
        else { throw notJSON() }
        offset += length
    }

    /// A number.
    ///
    /// - Returns: Whether it is an integer by its spelling: without fraction and exponent.
    mutating func skipNumber() throws(EnvelopeError) -> Bool {
        var isInteger = true
        _ = consume(UInt8(ascii: "-"))
        if !consume(UInt8(ascii: "0")) { try skipDigits() }
        if consume(UInt8(ascii: ".")) {
            isInteger = false
            try skipDigits()
        }
        if consume(UInt8(ascii: "e")) || consume(UInt8(ascii: "E")) {
            isInteger = false
            if !consume(UInt8(ascii: "+")) { _ = consume(UInt8(ascii: "-")) }
            try skipDigits()
        }
        return isInteger
    }

    private mutating func skipDigits() throws(EnvelopeError) {
        let first = offset
        while let byte, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
        guard offset > first else { throw notJSON() }
    }
}
