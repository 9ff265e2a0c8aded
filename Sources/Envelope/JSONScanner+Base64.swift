extension JSONScanner {
    /// A string, and how many bytes it decodes to, or `nil` where it is not base64.
    ///
    /// The usual form, without escapes, is passed over once: what is base64 needs no other look.
    @inline(__always)
    mutating func base64String() throws(EnvelopeError) -> (JSONStringToken, decodedCount: Int?) {
        try expect(UInt8(ascii: "\""))
        let first = offset
        let run = Base64.endOfAlphabet(in: start, from: first, to: count)
        var end = run
        while end < count, end &- run < 2, self[end] == UInt8(ascii: "=") { end &+= 1 }
        guard end < count, self[end] == UInt8(ascii: "\"") else {
            offset = run
            return try base64StringWithEscapes(from: first)
        }
        offset = end &+ 1
        let token = JSONStringToken(lowerBound: first, upperBound: end, hasEscapes: false)
        return (token, token.count % 4 == 0 ? token.count / 4 * 3 &- (end &- run) : nil)
    }

    private mutating func base64StringWithEscapes(
        from first: Int
    ) throws(EnvelopeError) -> (JSONStringToken, decodedCount: Int?) {
        let token = try restOfString(from: first)
        guard token.hasEscapes else { return (token, nil) }
        var characters = 0
        var padding = 0
        var bytes = JSONStringBytes(token, in: start)
        while let byte = bytes.next() {
            characters += 1
            if byte == UInt8(ascii: "=") {
                padding += 1
            } else if padding > 0 || !Base64.isInAlphabet(byte) {
                return (token, nil)
            }
        }
        guard characters % 4 == 0, padding <= 2 else { return (token, nil) }
        return (token, characters / 4 * 3 - padding)
    }
}
