/// A second reader of envelopes, as plain as can be: it recurses, copies and decodes everything. It shares no code
/// with the module and exists to disagree with it.
struct ReferenceReader {
    private struct Refused: Error {}

    /// What the rules on the six members need to know of a value.
    private enum Value {
        case string([UInt16])
        case number([UInt8])
        case other
    }

    private let bytes: [UInt8]
    private var index = 0

    static func isEnvelope(_ value: UnsafeRawBufferPointer) -> Bool {
        var reader = ReferenceReader(bytes: Array(value))
        do {
            var members: [[UInt16]: [Value]] = [:]
            reader.space()
            guard reader.peek == UInt8(ascii: "{") else { return false }
            try reader.object(depth: 1) { name, value in members[name, default: []].append(value) }
            reader.space()
            return reader.index == reader.bytes.count && obeysTheRules(members)
        } catch {
            return false
        }
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private static func obeysTheRules(_ members: [[UInt16]: [Value]]) -> Bool {
        func only(_ name: String) -> Value? {
            guard let values = members[Array(name.utf16)], values.count == 1 else { return nil }
            return values[0]
        }
        func text(_ name: String) -> [UInt16]? {
            guard case .string(let text)? = only(name) else { return nil }
            return text
        }
        guard case .number(let version)? = only("version"), version == [UInt8(ascii: "1")],
            let alg = text("alg"), alg == Array("AES-256-GCM".utf16),
            let id = text("key_id"), (1...64).contains(id.count),
            id.allSatisfy({
                Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-".utf16).contains($0)
            }),
            let dek = text("dek_wrapped"), base64Count(dek) == 60, let nonce = text("nonce"),
            base64Count(nonce) == 12,
            let ciphertext = text("ciphertext"), let count = base64Count(ciphertext), count >= 16
        else { return false }
        return true
    }

    private static func base64Count(_ text: [UInt16]) -> Int? {
        guard text.count % 4 == 0 else { return nil }
        var padding = 0
        for unit in text {
            switch unit {
            case 0x3D: padding += 1
            case 0x41...0x5A, 0x61...0x7A, 0x30...0x39, 0x2B, 0x2F: if padding > 0 { return nil }
            default: return nil
            }
        }
        return padding <= 2 ? text.count / 4 * 3 - padding : nil
    }

    // MARK: - JSON

    private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func space() {
        while let byte = peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { index += 1 }
    }

    private mutating func take(_ text: String) throws(Refused) {
        for byte in text.utf8 {
            guard peek == byte else { throw Refused() }
            index += 1
        }
    }

    private mutating func object(
        depth: Int, _ member: ([UInt16], Value) -> Void = { _, _ in }
    ) throws(Refused) {
        guard depth <= 128 else { throw Refused() }
        try take("{")
        space()
        if peek == UInt8(ascii: "}") { return try take("}") }
        while true {
            space()
            let name = try string()
            space()
            try take(":")
            member(name, try value(depth: depth))
            if peek == UInt8(ascii: "}") { return try take("}") }
            try take(",")
        }
    }

    private mutating func array(depth: Int) throws(Refused) {
        guard depth <= 128 else { throw Refused() }
        try take("[")
        space()
        if peek == UInt8(ascii: "]") { return try take("]") }
        while true {
            _ = try value(depth: depth)
            if peek == UInt8(ascii: "]") { return try take("]") }
            try take(",")
        }
    }

    private mutating func value(depth: Int) throws(Refused) -> Value {
        space()
        defer { space() }
        switch peek {
        case UInt8(ascii: "{")?: try object(depth: depth + 1)
        case UInt8(ascii: "[")?: try array(depth: depth + 1)
        case UInt8(ascii: "\"")?: return .string(try string())
        case UInt8(ascii: "t")?: try take("true")
        case UInt8(ascii: "f")?: try take("false")
        case UInt8(ascii: "n")?: try take("null")
        default: return .number(try number())
        }
        return .other
    }

    private mutating func number() throws(Refused) -> [UInt8] {
        let first = index
        if peek == UInt8(ascii: "-") { index += 1 }
        let leading = peek
        let integer = digits()
        guard integer > 0, leading != UInt8(ascii: "0") || integer == 1 else { throw Refused() }
        if peek == UInt8(ascii: ".") {
            index += 1
            guard digits() > 0 else { throw Refused() }
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            index += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { index += 1 }
            guard digits() > 0 else { throw Refused() }
        }
        return Array(bytes[first..<index])
    }

    private mutating func digits() -> Int {
        let first = index
        while let byte = peek, (0x30...0x39).contains(byte) { index += 1 }
        return index - first
    }

    private mutating func string() throws(Refused) -> [UInt16] {
        try take("\"")
        var units: [UInt16] = []
        var plain: [UInt8] = []
        func flush() throws(Refused) {
            guard let text = String(validating: plain, as: UTF8.self) else { throw Refused() }
            units.append(contentsOf: text.utf16)
            plain = []
        }
        while let byte = peek {
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                try flush()
                return units
            case UInt8(ascii: "\\"):
                try flush()
                units.append(try escape())
            case 0..<0x20: throw Refused()
            default: plain.append(byte)
            }
        }
        throw Refused()
    }

    private mutating func escape() throws(Refused) -> UInt16 {
        guard let byte = peek else { throw Refused() }
        index += 1
        let simple: [UInt8: UInt16] = [
            0x22: 0x22, 0x5C: 0x5C, 0x2F: 0x2F, 0x62: 0x08, 0x66: 0x0C, 0x6E: 0x0A, 0x72: 0x0D, 0x74: 0x09,
        ]
        if let unit = simple[byte] { return unit }
        guard byte == UInt8(ascii: "u"), index + 4 <= bytes.count else { throw Refused() }
        let digits = bytes[index..<(index + 4)]
        guard digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }) else { throw Refused() }
        index += 4
        guard let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else { throw Refused() }
        return unit
    }
}
