import Envelope
import FoundationEssentials

/// The key ids of envelopes inside of a larger value: an element of an array or a composite, an image of a row, the
/// hex or base64 of one. A search: ids of envelopes that it cannot take out are missing.
struct EnvelopeFragments {
    private(set) var keyIDs: Set<String> = []

    /// An element of an array of composites of domains in an image of a row; no input makes it go deeper.
    private static let deepest = 5
    /// No envelope is shorter.
    private static let shortest = 150

    init(in value: [UInt8]) {
        collect(value, depth: 0)
    }

    private mutating func collect(_ bytes: [UInt8], depth: Int) {
        guard bytes.count >= Self.shortest, depth <= Self.deepest else { return }
        if let keyID = Self.keyID(of: bytes) {
            keyIDs.insert(keyID)
        } else if let decoded = Self.hexDecoded(bytes) ?? Self.base64Decoded(bytes) {
            collect(decoded, depth: depth + 1)
        } else {
            let known = keyIDs.count
            for segment in Self.quotedSegments(of: bytes) { collect(segment, depth: depth + 1) }
            // Where none can be taken out, what stands behind its `key_id`.
            if keyIDs.count == known, EnvelopeLabels.holdEnvelope(bytes) {
                keyIDs.formUnion(EnvelopeLabels.keyIDs(in: bytes))
            }
        }
    }

    private static func keyID(of bytes: [UInt8]) -> String? {
        bytes.withUnsafeBytes { value in
            do throws(EnvelopeError) {
                return try ParsedEnvelope(parsing: value).keyID.description
            } catch {
                return nil
            }
        }
    }

    /// What stands in double quotes, without them: a backslash quotes the character behind it, and a quote is
    /// written twice, as arrays, composites, ranges and JSON have it.
    private static func quotedSegments(of bytes: [UInt8]) -> [[UInt8]] {
        let (quote, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
        var segments: [[UInt8]] = []
        var segment: [UInt8]?
        var offset = 0
        while offset < bytes.count {
            let byte = bytes[offset]
            let next = offset + 1 < bytes.count ? bytes[offset + 1] : nil
            offset += 1
            guard var open = segment else {
                if byte == quote { segment = [] }
                continue
            }
            segment = nil  // so that the bytes have one owner while they grow
            if byte == backslash, let next {
                open.append(next)
                offset += 1
            } else if byte == quote, next == quote {
                open.append(quote)
                offset += 1
            } else if byte == quote {
                if open.count >= shortest { segments.append(open) }
                continue
            } else {
                open.append(byte)
            }
            segment = open
        }
        return segments
    }

    private static func hexDecoded(_ bytes: [UInt8]) -> [UInt8]? {
        var digits = bytes[...]
        if digits.starts(with: Array("\\x".utf8)) { digits = digits.dropFirst(2) }
        guard digits.count % 2 == 0 else { return nil }
        var decoded: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = digit - UInt8(ascii: "A") + 10
            default: return nil
            }
            if let first = high {
                decoded.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return decoded
    }

    private static func base64Decoded(_ bytes: [UInt8]) -> [UInt8]? {
        let spaces: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
        guard
            bytes.allSatisfy({ EnvelopeLabels.isBase64($0) || $0 == UInt8(ascii: "=") || spaces.contains($0) }
            )
        else { return nil }
        return Data(base64Encoded: Data(bytes.filter { !spaces.contains($0) })).map { Array($0) }
    }
}
