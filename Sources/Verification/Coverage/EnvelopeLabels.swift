/// Labels of envelopes in bytes of any kind: text that nobody can parse as a whole, such as a function's body.
enum EnvelopeLabels {
    /// What stands behind each `key_id`, where it can be a key's id.
    static func keyIDs(in bytes: [UInt8]) -> Set<String> {
        var keyIDs: Set<String> = []
        for start in offsets(of: "key_id", in: bytes) {
            var offset = start
            while offset < bytes.count, let width = separator(bytes, at: offset) { offset += width }
            guard offset > start else { continue }
            let id = bytes[offset...].prefix { isIDByte($0) }
            guard (1...64).contains(id.count) else { continue }
            keyIDs.insert(String(decoding: id, as: UTF8.self))
        }
        return keyIDs
    }

    /// Whether the bytes hold a whole envelope: each member's name, and a wrapped data key, which is 80 characters of
    /// base64. Code that makes or reads envelopes has the names alone.
    static func holdEnvelope(_ bytes: [UInt8]) -> Bool {
        guard
            ["key_id", "dek_wrapped", "nonce", "ciphertext"].allSatisfy({
                !offsets(of: $0, in: bytes).isEmpty
            })
        else { return false }
        var run = 0
        for byte in bytes {
            run = isBase64(byte) ? run + 1 : 0
            if run >= 80 { return true }
        }
        return false
    }

    static func isBase64(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/")
    }

    /// Behind each place where the text stands.
    private static func offsets(of text: String, in bytes: [UInt8]) -> [Int] {
        let pattern = Array(text.utf8)
        guard let first = pattern.first, bytes.count >= pattern.count else { return [] }
        return (0...(bytes.count - pattern.count)).filter {
            bytes[$0] == first && bytes[$0..<($0 + pattern.count)].elementsEqual(pattern)
        }.map { $0 + pattern.count }
    }

    /// Quotes, in whatever way they are quoted themselves, the colon, and white space.
    private static func separator(_ bytes: [UInt8], at offset: Int) -> Int? {
        let plain: Set<UInt8> = Set("\"\\: \t\n\r'".utf8)
        if plain.contains(bytes[offset]) { return 1 }
        let entity = Array("&quot;".utf8)
        return bytes[offset...].starts(with: entity) ? entity.count : nil
    }

    private static func isIDByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "-")
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: false
        }
    }
}
