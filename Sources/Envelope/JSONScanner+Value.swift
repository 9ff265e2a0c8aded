extension JSONScanner {
    /// A value of any shape.
    ///
    /// - Parameter depth: How many objects and arrays stand open around it.
    mutating func skipValue(depth outerDepth: Int) throws(EnvelopeError) {
        // One bit for each open container, set for an object: no recursion, and no allocation.
        var containers: UInt128 = 0
        var depth = outerDepth
        values: repeat {
            switch byte {
            case UInt8(ascii: "\""): _ = try string()
            case UInt8(ascii: "{"):
                containers = containers << 1 | 1
                if try open(UInt8(ascii: "}"), depth: &depth) {
                    try skipName()
                    continue values
                }
            case UInt8(ascii: "["):
                containers <<= 1
                if try open(UInt8(ascii: "]"), depth: &depth) { continue values }
            case UInt8(ascii: "t"): try skipLiteral("true")
            case UInt8(ascii: "f"): try skipLiteral("false")
            case UInt8(ascii: "n"): try skipLiteral("null")
            // What is no number either is refused there.
            default: _ = try skipNumber()
            }
            // A value has ended, and with it perhaps containers around it.
            while depth > outerDepth {
                let isObject = containers & 1 == 1
                skipWhiteSpace()
                if consume(UInt8(ascii: ",")) {
                    skipWhiteSpace()
                    if isObject { try skipName() }
                    continue values
                }
                // An empty container has its end still before it, like any other.
                try expect(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
                containers >>= 1
                depth -= 1
            }
        } while depth > outerDepth
    }

    /// The beginning of an object or array.
    ///
    /// - Returns: Whether it holds anything. The cursor is at that, else at the container's end.
    private mutating func open(_ end: UInt8, depth: inout Int) throws(EnvelopeError) -> Bool {
        guard depth < Self.maximumDepth else { throw EnvelopeError(.tooDeep, offset: offset) }
        depth += 1
        offset += 1
        skipWhiteSpace()
        return byte != end
    }

    /// A member's name and the colon, up to its value.
    private mutating func skipName() throws(EnvelopeError) {
        _ = try string()
        skipWhiteSpace()
        try expect(UInt8(ascii: ":"))
        skipWhiteSpace()
    }
}
