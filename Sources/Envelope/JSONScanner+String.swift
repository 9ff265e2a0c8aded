extension JSONScanner {
    /// A string, without its quotes.
    @inline(__always)
    mutating func string() throws(EnvelopeError) -> JSONStringToken {
        try expect(UInt8(ascii: "\""))
        let first = offset
        return try restOfString(from: first)
    }

    /// The rest of a string that began at `first`, where all up to the cursor is known to be plain.
    mutating func restOfString(from first: Int) throws(EnvelopeError) -> JSONStringToken {
        var hasEscapes = false
        while true {
            skipPlainText()
            guard offset < count else { throw notJSON() }
            switch self[offset] {
            case UInt8(ascii: "\""):
                offset &+= 1
                return JSONStringToken(
                    lowerBound: first, upperBound: offset &- 1, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try skipEscape()
            case 0x80...: try skipUTF8Sequence()
            default: throw notJSON()
            }
        }
    }

    /// Passes over all that needs no look, sixteen bytes at a time.
    @inline(__always)
    private mutating func skipPlainText() {
        while offset &+ 16 <= count {
            let bytes = start.loadUnaligned(fromByteOffset: offset, as: Lanes.Bytes.self)
            if let lane = Lanes.firstSet(Lanes.endsPlainText(bytes)) {
                offset &+= lane
                return
            }
            offset &+= 16
        }
        while offset < count {
            let byte = self[offset]
            guard byte >= 0x20, byte < 0x80, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else {
                return
            }
            offset &+= 1
        }
    }

    /// A backslash and what it escapes. Which code units `\u` names, halves of pairs included, is not the
    /// grammar's concern.
    private mutating func skipEscape() throws(EnvelopeError) {
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            offset += 1
        case UInt8(ascii: "u"):
            offset += 1
            for _ in 0..<4 {
                guard let digit = byte, HexDigit.value(of: digit) != nil else { throw notJSON() }
                offset += 1
            }
        default: throw notJSON()
        }
    }

    /// A character of two to four bytes; overlong forms, surrogates and what lies beyond U+10FFFF are none
    /// (RFC 3629).
    private mutating func skipUTF8Sequence() throws(EnvelopeError) {
        let length: Int
        let second: ClosedRange<UInt8>
        switch self[offset] {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: throw EnvelopeError(.notUTF8, offset: offset)
        }
        guard count - offset >= length, second.contains(self[offset + 1]) else {
            throw EnvelopeError(.notUTF8, offset: offset)
        }
        for index in 2..<max(length, 2) where self[offset + index] & 0xC0 != 0x80 {
            throw EnvelopeError(.notUTF8, offset: offset)
        }
        offset += length
    }
}
