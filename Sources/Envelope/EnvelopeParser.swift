/// Reads the outermost object of a value and the six members in it.
struct EnvelopeParser {
    var scanner: JSONScanner
    var result = ParsedEnvelope()
    /// The members seen, a bit each.
    private var seen: UInt8 = 0
    private var versionFault: Fault?
    private var algorithmFault: Fault?
    /// The first fault of any other member.
    private var memberFault: Fault?

    /// An error before it is thrown. Unlike an `EnvelopeError`, which may hold a string, it is plain bytes:
    /// the parser is moved about without counting references.
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
    mutating func note(_ code: EnvelopeError.Code, _ member: EnvelopeMember, at offset: Int) {
        let fault = Fault(code: code, member: member, offset: offset)
        switch member {
        case .version: versionFault = versionFault ?? fault
        case .algorithm: algorithmFault = algorithmFault ?? fault
        default: memberFault = memberFault ?? fault
        }
    }
}
