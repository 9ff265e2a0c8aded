extension JSONScanner {
    /// The one of the six that a string names, if any.
    @inline(__always)
    func member(named name: JSONStringToken) -> EnvelopeMember? {
        guard name.hasEscapes else { return EnvelopeMember(name: bytes(of: name)) }
        return member(namedWithEscapes: name)
    }

    private func member(namedWithEscapes name: JSONStringToken) -> EnvelopeMember? {
        var decoded = InlineArray<11, UInt8>(repeating: 0)
        var count = 0
        var bytes = JSONStringBytes(name, in: start)
        while let byte = bytes.next() {
            guard count < decoded.count else { return nil }
            decoded[count] = byte
            count += 1
        }
        return withUnsafeBytes(of: &decoded) {
            EnvelopeMember(name: UnsafeRawBufferPointer(rebasing: $0[..<count]))
        }
    }

    /// The bytes between a string's quotes.
    @inline(__always)
    func bytes(of token: JSONStringToken) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + token.lowerBound, count: token.count)
    }
}
