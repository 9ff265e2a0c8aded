/// A short public fingerprint of a key: two parties that read the same value hold the same key bytes.
///
/// The first 8 bytes of HMAC-SHA-256(KEK, `reencrypt-secrets key check`) (contract, section 2). HMAC is
/// one-way, so the value says nothing of the key.
public struct KeyCheckValue: Hashable, Sendable, CustomStringConvertible {
    private let value: UInt64

    /// Reads 16 hexadecimal digits in either case, or `nil` where `hex` is anything else.
    public init?(hex: some StringProtocol) {
        let digits = hex.utf8
        guard digits.count == 16 else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard let nibble = HexDigit.value(of: digit) else { return nil }
            value = value << 4 | UInt64(nibble)
        }
        self.value = value
    }

    /// The check value of key bytes.
    init(of key: SecretBytes) throws(EnvelopeError) {
        let code = try key.withUnsafeBytes { (bytes) throws(EnvelopeError) in
            try Digest.hmacSHA256(key: bytes, Array("reencrypt-secrets key check".utf8))
        }
        value = code.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// 16 lower-case hexadecimal digits.
    public var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// Hexadecimal digits in either case.
enum HexDigit {
    @inline(__always)
    static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
