/// A copy of a value in which up to four strings are replaced and every other byte stays.
struct Splice {
    private struct Edit {
        var token = JSONStringToken.none
        var replacement = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// In the order in which they stand in the value.
    private var edits = InlineArray<4, Edit>(repeating: Edit())
    private var count = 0

    /// Replaces the bytes between a string's quotes. `replacement` must need no escapes, and stay until the
    /// splice is appended.
    @inline(__always)
    mutating func replace(_ token: JSONStringToken, with replacement: UnsafeRawBufferPointer) {
        var index = count
        while index > 0, edits[index - 1].token.lowerBound > token.lowerBound {
            edits[index] = edits[index - 1]
            index -= 1
        }
        edits[index] = Edit(token: token, replacement: replacement)
        count += 1
    }

    /// Appends the copy.
    @inline(__always)
    func append(_ value: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        var offset = 0
        for index in 0..<count {
            let edit = edits[index]
            output.append(contentsOf: UnsafeRawBufferPointer(rebasing: value[offset..<edit.token.lowerBound]))
            output.append(contentsOf: edit.replacement)
            offset = edit.token.upperBound
        }
        output.append(contentsOf: UnsafeRawBufferPointer(rebasing: value[offset...]))
    }
}

extension [UInt8] {
    /// Has `check` look at the bytes from `length` on. Where it throws, they are taken off again.
    @inline(__always)
    mutating func keepAppended(
        from length: Int, if check: (UnsafeRawBufferPointer) throws(EnvelopeError) -> Void
    ) throws(EnvelopeError) {
        do {
            try withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
                try check(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[length...]))
            }
        } catch {
            removeLast(count - length)
            throw error
        }
    }
}
