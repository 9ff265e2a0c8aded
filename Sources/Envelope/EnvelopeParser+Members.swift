/// The values of the six members. Each method expects the scanner at the value and leaves it behind.
extension EnvelopeParser {
    @inline(__always)
    mutating func value(of member: EnvelopeMember) throws(EnvelopeError) {
        switch member {
        case .version: try version()
        case .algorithm: try algorithm()
        case .keyID: try keyID()
        case .wrappedDEK:
            let (token, _) = try base64(.wrappedDEK, count: ParsedEnvelope.wrappedDEKCount)
            result.wrappedDEK = token
        case .nonce:
            let (token, _) = try base64(.nonce, count: AESGCM.nonceCount)
            result.nonce = token
        case .ciphertext:
            let (token, count) = try base64(.ciphertext, count: nil)
            result.ciphertext = token
            result.ciphertextCount = count
        }
    }

    /// The integer 1, spelled so: `1.0` and `1e0` are other tokens, which readers take for a float.
    private mutating func version() throws(EnvelopeError) {
        let offset = scanner.offset
        guard let byte = scanner.byte, byte == UInt8(ascii: "-") || HexDigit.value(of: byte) ?? 10 < 10 else {
            try scanner.skipValue(depth: 1)
            return note(.wrongType, .version, at: offset)
        }
        guard try scanner.skipNumber() else { return note(.wrongType, .version, at: offset) }
        guard scanner.offset == offset + 1, byte == UInt8(ascii: "1") else {
            return note(.unsupportedVersion, .version, at: offset)
        }
    }

    private mutating func algorithm() throws(EnvelopeError) {
        let offset = scanner.offset
        guard let token = try string(.algorithm) else { return }
        let name: StaticString = "AES-256-GCM"
        if !token.hasEscapes {
            if bytesEqual(scanner.bytes(of: token), name) { return }
        } else if JSONStringBytes(token, in: scanner.start).spell(name) {
            return
        }
        note(.unsupportedAlgorithm, .algorithm, at: offset)
    }

    private mutating func keyID() throws(EnvelopeError) {
        let offset = scanner.offset
        guard let token = try string(.keyID) else { return }
        let isKeyID: Bool
        if !token.hasEscapes {
            isKeyID = result.keyIDBytes.take(scanner.bytes(of: token))
        } else {
            isKeyID = result.keyIDBytes.take(JSONStringBytes(token, in: scanner.start))
        }
        guard isKeyID else { return note(.invalidKeyID, .keyID, at: offset) }
        result.keyIDToken = token
    }

    /// A string, or `nil` and a note where the value is something else.
    @inline(__always)
    private mutating func string(_ member: EnvelopeMember) throws(EnvelopeError) -> JSONStringToken? {
        guard scanner.byte == UInt8(ascii: "\"") else {
            let offset = scanner.offset
            try scanner.skipValue(depth: 1)
            note(.wrongType, member, at: offset)
            return nil
        }
        return try scanner.string()
    }

    /// A string of base64 and how many bytes it decodes to: `count`, or any that hold a tag where it is
    /// `nil`.
    @inline(__always)
    private mutating func base64(
        _ member: EnvelopeMember, count: Int?
    ) throws(EnvelopeError) -> (JSONStringToken, count: Int) {
        let offset = scanner.offset
        guard scanner.byte == UInt8(ascii: "\"") else {
            try scanner.skipValue(depth: 1)
            note(.wrongType, member, at: offset)
            return (.none, 0)
        }
        let (token, decodedCount) = try scanner.base64String()
        guard let decodedCount else {
            note(.notBase64, member, at: offset)
            return (.none, 0)
        }
        if let count, decodedCount != count { note(.wrongSize, member, at: offset) }
        if count == nil, decodedCount < AESGCM.tagCount { note(.wrongSize, member, at: offset) }
        return (token, decodedCount)
    }
}

extension JSONStringBytes {
    /// Whether the string means this.
    fileprivate consuming func spell(_ literal: StaticString) -> Bool {
        for index in 0..<literal.utf8CodeUnitCount where next() != literal.utf8Start[index] { return false }
        return next() == nil
    }
}
