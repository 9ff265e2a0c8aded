/// Reads the outermost object of a value and the six members in it.
struct EnvelopeParser {
    private var scanner: JSONScanner
    private(set) var result = ParsedEnvelope()
    /// The members seen, a bit each.
    private var seen: UInt8 = 0
    private var versionFault: Fault?
    private var algorithmFault: Fault?
    /// The first fault of any other member.
    private var memberFault: Fault?

    /// An error before it is thrown. Unlike an `EnvelopeError`, which may hold a string, it is plain bytes: the
    /// parser is moved about without counting references.
    private struct Fault {
        let code: EnvelopeError.Code
        let member: EnvelopeMember
        let offset: Int

        var error: EnvelopeError { EnvelopeError(code, member: member, offset: offset) }
    }

    init(_ value: UnsafeRawBufferPointer) throws(EnvelopeError) {
        // OpenSSL counts in Int32.
        guard value.count <= Int(Int32.max) else { throw EnvelopeError(.tooLarge) }
        scanner = try JSONScanner(value)
    }

    mutating func parse() throws(EnvelopeError) {
        scanner.skipWhiteSpace()
        guard scanner.byte == UInt8(ascii: "{") else {
            let offset = scanner.offset
            try scanner.skipValue(depth: 0)
            try end()
            throw EnvelopeError(.notAnObject, offset: offset)
        }
        scanner.offset += 1
        scanner.skipWhiteSpace()
        if !scanner.consume(UInt8(ascii: "}")) { try members() }
        try end()
        try throwFault()
    }

    private mutating func members() throws(EnvelopeError) {
        while true {
            let nameOffset = scanner.offset
            let name = try scanner.string()
            scanner.skipWhiteSpace()
            try scanner.expect(UInt8(ascii: ":"))
            scanner.skipWhiteSpace()
            if let member = scanner.member(named: name) {
                if seen & member.bit != 0 { note(.duplicateMember, member, at: nameOffset) }
                seen |= member.bit
                try value(of: member)
            } else {
                try scanner.skipValue(depth: 1)
            }
            scanner.skipWhiteSpace()
            guard scanner.consume(UInt8(ascii: ",")) else { break }
            scanner.skipWhiteSpace()
        }
        try scanner.expect(UInt8(ascii: "}"))
    }

    @inline(__always)
    private mutating func value(of member: EnvelopeMember) throws(EnvelopeError) {
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

    private mutating func end() throws(EnvelopeError) {
        scanner.skipWhiteSpace()
        guard scanner.byte == nil else { throw EnvelopeError(.trailingBytes, offset: scanner.offset) }
    }

    @inline(__always)
    private func throwFault() throws(EnvelopeError) {
        guard seen == EnvelopeMember.allBits, versionFault == nil, algorithmFault == nil, memberFault == nil
        else {
            throw fault()
        }
    }

    @inline(never)
    private func fault() -> EnvelopeError {
        let missing = EnvelopeMember.allCases.first { seen & $0.bit == 0 }
        if let versionFault { return versionFault.error }
        if missing == .version { return EnvelopeError(.missingMember, member: .version) }
        return (algorithmFault ?? memberFault)?.error ?? EnvelopeError(.missingMember, member: missing)
    }

    /// Notes a fault. Reading goes on: a value that is not JSON is called that first of all.
    @inline(never)
    private mutating func note(_ code: EnvelopeError.Code, _ member: EnvelopeMember, at offset: Int) {
        let fault = Fault(code: code, member: member, offset: offset)
        switch member {
        case .version: versionFault = versionFault ?? fault
        case .algorithm: algorithmFault = algorithmFault ?? fault
        default: memberFault = memberFault ?? fault
        }
    }
}

// MARK: - The values of the six

extension EnvelopeParser {
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

    /// A string of base64 and how many bytes it decodes to: `count`, or any that hold a tag where it is `nil`.
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

extension JSONScanner {
    /// The one of the six that a string names, if any.
    @inline(__always)
    fileprivate func member(named name: JSONStringToken) -> EnvelopeMember? {
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
    fileprivate func bytes(of token: JSONStringToken) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + token.lowerBound, count: token.count)
    }
}

extension JSONStringBytes {
    /// Whether the string means this.
    fileprivate consuming func spell(_ literal: StaticString) -> Bool {
        for index in 0..<literal.utf8CodeUnitCount where next() != literal.utf8Start[index] { return false }
        return next() == nil
    }
}
