import COpenSSL
import Glibc

/// Base64 of the standard alphabet with padding (RFC 4648, section 4), without white space.
///
/// Bits that the last character has to spare are not looked at, as most decoders do. Characters are mapped by
/// arithmetic on sixteen lanes, not by tables: it is fast, and key bytes leave no trace in the cache.
enum Base64 {
    /// How many characters `byteCount` bytes become.
    @inline(__always)
    static func encodedCount(_ byteCount: Int) -> Int { (byteCount + 2) / 3 * 4 }

    /// How many bytes `text` becomes, or `nil` where it is not base64.
    static func decodedCount(of text: UnsafeRawBufferPointer) -> Int? {
        guard text.count % 4 == 0, let start = text.baseAddress else { return text.isEmpty ? 0 : nil }
        let run = endOfAlphabet(in: start, from: 0, to: text.count)
        let padding = text.count - run
        guard padding <= 2, text[run...].allSatisfy({ $0 == UInt8(ascii: "=") }) else { return nil }
        return text.count / 4 * 3 - padding
    }

    /// Where the characters of the alphabet that begin at `offset` end.
    @inline(__always)
    static func endOfAlphabet(in start: UnsafeRawPointer, from offset: Int, to end: Int) -> Int {
        var offset = offset
        while offset &+ 16 <= end {
            let others = ~Lanes.isBase64(start.loadUnaligned(fromByteOffset: offset, as: Lanes.Bytes.self))
            if let lane = Lanes.firstSet(others) { return offset &+ lane }
            offset &+= 16
        }
        // Fewer than sixteen bytes are left: the lanes beyond them hold a zero, which ends the run.
        guard offset < end else { return end }
        var last = Lanes.Bytes()
        withUnsafeMutableBytes(of: &last) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: start + offset, count: end &- offset))
        }
        return offset &+ (Lanes.firstSet(~Lanes.isBase64(last)) ?? 0)
    }

    /// Whether one character is of the alphabet; "=" is not.
    static func isInAlphabet(_ character: UInt8) -> Bool {
        Lanes.isBase64(Lanes.Bytes(repeating: character))[0] != 0
    }

    /// Decodes `text`, which ``decodedCount(of:)`` has found to be base64, into as many bytes as that said.
    static func decode(_ text: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer) {
        guard let source = text.baseAddress, let target = bytes.baseAddress else { return }
        var read = 0
        var written = 0
        while written &+ 12 <= bytes.count, read &+ 16 <= text.count {
            decodeBlock(
                source.loadUnaligned(fromByteOffset: read, as: Lanes.Bytes.self), to: target + written)
            read &+= 16
            written &+= 12
        }
        guard written < bytes.count else { return }
        // The last block is filled up with "A", which is zero bits; "=" decodes to whatever is not taken
        // over.
        var characters = Lanes.Bytes(repeating: UInt8(ascii: "A"))
        var block = Lanes.Bytes()
        withUnsafeMutableBytes(of: &characters) { characters in
            withUnsafeMutableBytes(of: &block) { block in
                guard let last = characters.baseAddress, let decoded = block.baseAddress else { return }
                memcpy(last, source + read, min(16, text.count - read))
                decodeBlock(last.loadUnaligned(as: Lanes.Bytes.self), to: decoded)
                memcpy(target + written, decoded, min(12, bytes.count - written))
                OPENSSL_cleanse(last, 16)
                OPENSSL_cleanse(decoded, 16)
            }
        }
    }

    /// Encodes `bytes` into `text`, which holds ``encodedCount(_:)`` characters.
    static func encode(_ bytes: UnsafeRawBufferPointer, into text: UnsafeMutableRawBufferPointer) {
        guard let source = bytes.baseAddress, let target = text.baseAddress else { return }
        var read = 0
        var written = 0
        while read &+ 12 <= bytes.count, written &+ 16 <= text.count {
            let characters = encodeBlock(source + read)
            (target + written).storeBytes(of: characters, as: Lanes.Bytes.self)
            read &+= 12
            written &+= 16
        }
        guard read < bytes.count else { return }
        let left = bytes.count - read
        let count = min(encodedCount(left), text.count - written)
        var block = Lanes.Bytes()
        var characters = Lanes.Bytes()
        withUnsafeMutableBytes(of: &block) { block in
            guard let last = block.baseAddress else { return }
            memcpy(last, source + read, left)
            characters = encodeBlock(last)
            OPENSSL_cleanse(last, 16)
        }
        withUnsafeMutableBytes(of: &characters) { characters in
            guard let last = characters.baseAddress else { return }
            memcpy(target + written, last, count)
            OPENSSL_cleanse(last, 16)
        }
        for index in 0..<((3 - left % 3) % 3) { text[written + count - 1 - index] = UInt8(ascii: "=") }
    }

    /// Sixteen characters to twelve bytes, which is all it writes.
    @inline(__always)
    private static func decodeBlock(_ characters: Lanes.Bytes, to target: UnsafeMutableRawPointer) {
        let words = unsafeBitCast(Lanes.sextets(characters), to: SIMD4<UInt32>.self)
        let first = (words & 0x3F) &<< 18 | (words & 0x3F00) &<< 4
        let bits = first | (words & 0x3F_0000) &>> 10 | (words &>> 24) & 0x3F
        let low = UInt64(bits[0]) << 40 | UInt64(bits[1]) << 16 | UInt64(bits[2]) >> 8
        let high = (bits[2] & 0xFF) << 24 | bits[3]
        target.storeBytes(of: low.bigEndian, as: UInt64.self)
        target.storeBytes(of: high.bigEndian, toByteOffset: 8, as: UInt32.self)
    }

    /// Twelve bytes, which is all it reads, to sixteen characters.
    @inline(__always)
    private static func encodeBlock(_ source: UnsafeRawPointer) -> Lanes.Bytes {
        let low = UInt64(bigEndian: source.loadUnaligned(as: UInt64.self))
        let high = UInt32(bigEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let bits = SIMD4<UInt32>(
            UInt32(truncatingIfNeeded: low >> 40), UInt32(truncatingIfNeeded: low >> 16) & 0xFF_FFFF,
            UInt32(truncatingIfNeeded: low & 0xFFFF) << 8 | high >> 24, high & 0xFF_FFFF)
        let first = (bits &>> 18) & 0x3F | (bits &>> 4) & 0x3F00
        let words = first | (bits &<< 10) & 0x3F_0000 | (bits & 0x3F) &<< 24
        return Lanes.characters(unsafeBitCast(words, to: Lanes.Bytes.self))
    }
}
