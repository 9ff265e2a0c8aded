/// Sixteen bytes at once: what the scanner and base64 ask of each.
///
/// A predicate answers 0xFF in the lanes where it holds and 0 in the others. The lanes are read as integers
/// of the machine's byte order, little-endian on all that Swift runs on.
enum Lanes {
    typealias Bytes = SIMD16<UInt8>

    @inline(__always)
    private static func mask(_ mask: SIMDMask<SIMD16<Int8>>) -> Bytes { unsafeBitCast(mask, to: Bytes.self) }

    @inline(__always)
    private static func atMost(_ bytes: Bytes, _ limit: UInt8) -> Bytes {
        mask(bytes .<= Bytes(repeating: limit))
    }

    @inline(__always)
    private static func equal(_ bytes: Bytes, _ byte: UInt8) -> Bytes {
        mask(bytes .== Bytes(repeating: byte))
    }

    /// The first lane that is set, or `nil` where none is.
    @inline(__always)
    static func firstSet(_ mask: Bytes) -> Int? {
        let halves = unsafeBitCast(mask, to: SIMD2<UInt64>.self)
        let (low, high) = (halves[0], halves[1])
        if low | high == 0 { return nil }
        return low != 0 ? low.trailingZeroBitCount &>> 3 : 8 &+ high.trailingZeroBitCount &>> 3
    }

    /// Bytes that a JSON string cannot simply run over: quote, backslash, control characters, and whatever is
    /// not ASCII and so must be checked as UTF-8.
    @inline(__always)
    static func endsPlainText(_ bytes: Bytes) -> Bytes {
        // As signed numbers, the bytes from 0x80 and the control characters are those below 0x20.
        let signed = unsafeBitCast(bytes, to: SIMD16<Int8>.self)
        return mask(signed .< SIMD16<Int8>(repeating: 0x20)) | equal(bytes, UInt8(ascii: "\""))
            | equal(bytes, UInt8(ascii: "\\"))
    }

    /// Characters of base64's alphabet; "=" is none.
    @inline(__always)
    static func isBase64(_ bytes: Bytes) -> Bytes {
        let letters = atMost((bytes | Bytes(repeating: 0x20)) &- Bytes(repeating: UInt8(ascii: "a")), 25)
        // "/" comes just before "0".
        let digits = atMost(bytes &- Bytes(repeating: UInt8(ascii: "/")), 10)
        return letters | digits | equal(bytes, UInt8(ascii: "+"))
    }

    /// The six bits that each character of the alphabet stands for.
    @inline(__always)
    static func sextets(_ characters: Bytes) -> Bytes {
        let upper = atMost(characters &- Bytes(repeating: UInt8(ascii: "A")), 25)
        let lower = atMost(characters &- Bytes(repeating: UInt8(ascii: "a")), 25)
        let digit = atMost(characters &- Bytes(repeating: UInt8(ascii: "0")), 9)
        let plus = equal(characters, UInt8(ascii: "+"))
        let slash = equal(characters, UInt8(ascii: "/"))
        // A → 0 is minus 65, a → 26 is minus 71, 0 → 52 is plus 4, + → 62 is plus 19, / → 63 is plus 16;
        // modulo 256.
        let letters = upper & Bytes(repeating: 191) | lower & Bytes(repeating: 185)
        let others = digit & Bytes(repeating: 4) | plus & Bytes(repeating: 19) | slash & Bytes(repeating: 16)
        return characters &+ (letters | others)
    }

    /// The character that stands for each number below 64.
    @inline(__always)
    static func characters(_ sextets: Bytes) -> Bytes {
        // From 0 → A, plus 65, the distance changes at 26, 52, 62 and 63 by 6, −75, −15 and +3; modulo 256.
        let from26 = ~atMost(sextets, 25) & Bytes(repeating: 6)
        let from52 = ~atMost(sextets, 51) & Bytes(repeating: 181)
        let from62 = ~atMost(sextets, 61) & Bytes(repeating: 241)
        let from63 = ~atMost(sextets, 62) & Bytes(repeating: 3)
        return sextets &+ Bytes(repeating: 65) &+ from26 &+ from52 &+ from62 &+ from63
    }
}
