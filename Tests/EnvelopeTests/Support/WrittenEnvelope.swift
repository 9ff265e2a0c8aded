import Envelope
import Foundation
import TestSupport

/// An envelope as some other writer might lay it out, and where that writer put the six values.
///
/// The places are noted while writing, so that tests need not ask the code under test for them.
struct WrittenEnvelope {
    private(set) var bytes: [UInt8] = []
    /// Where the text between each string value's quotes stands.
    private(set) var places: [String: Range<Int>] = [:]
    let plaintext: [UInt8]

    /// The values of the six members of a canonical envelope, by Foundation's parser.
    static func members(of canonical: [UInt8]) throws -> [String: String] {
        struct Canonical: Decodable {
            let alg: String, key_id: String, dek_wrapped: String, nonce: String, ciphertext: String
        }
        let members = try JSONDecoder().decode(Canonical.self, from: Data(canonical))
        return [
            "alg": members.alg, "key_id": members.key_id, "dek_wrapped": members.dek_wrapped,
            "nonce": members.nonce,
            "ciphertext": members.ciphertext,
        ]
    }

    /// Seals `plaintext` under the keyring's primary key and lays it out at random: member order, white
    /// space, escapes, unknown members, and decoys that name another key.
    init(sealing plaintext: [UInt8], with keyring: Keyring, using generator: inout SeededGenerator) throws {
        self.plaintext = plaintext
        let members = try Self.members(of: try keyring.seal(plaintext))
        var names = ["version"] + members.keys.sorted()
        let unknown = (0..<generator.int(0...4)).map { "x\($0)" }
        names = (names + unknown).shuffled(using: &generator)

        space(&generator)
        append("{")
        for (index, name) in names.enumerated() {
            if index > 0 { append(",") }
            space(&generator)
            append("\"\(Self.escaped(name, rate: 0.05, &generator))\"")
            space(&generator)
            append(":")
            space(&generator)
            if name == "version" {
                append("1")
            } else if let value = members[name] {
                let rate = generator.chance(0.3) ? 0.1 : 0
                append("\"")
                let start = bytes.count
                append(Self.escaped(value, rate: rate, &generator))
                places[name] = start..<bytes.count
                append("\"")
            } else {
                append(Self.unknownValue(&generator, depth: 0))
            }
            space(&generator)
        }
        append("}")
        space(&generator)
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func space(_ generator: inout SeededGenerator) {
        while generator.chance(0.3) { append(generator.pick([" ", "\n", "\t", "\r"])) }
    }

    private static func escaped(_ text: String, rate: Double, _ generator: inout SeededGenerator) -> String {
        var result = ""
        for character in text.unicodeScalars {
            if character == "/", generator.chance(rate * 5) {
                result += "\\/"
            } else if generator.chance(rate) {
                let format = generator.chance(0.5) ? "%04x" : "%04X"
                result += "\\u" + String(format: format, character.value)
            } else {
                result.unicodeScalars.append(character)
            }
        }
        return result
    }

    private static func unknownValue(_ generator: inout SeededGenerator, depth: Int) -> String {
        switch generator.int(0...(depth > 4 ? 6 : 9)) {
        case 0: return generator.pick(["null", "true", "false"])
        case 1:
            return generator.pick(["0", "-0", "1.0", "-12.5e+3", "1E-9", "123456789012345678901234567890"])
        case 2: return "\"\""
        case 3: return "\"clé 鍵 🔑 \\\"quoted\\\" \\\\ \\/ \\ud83d\\udd11 \\u0000 \\ud800\""
        case 4: return "\"\\\"key_id\\\":\\\"kek-v2\\\"\""
        case 5: return "{\"key_id\":\"kek-v2\",\"key_id\":\"kek-v2\",\"version\":2}"
        case 6: return generator.pick(["[]", "{}", "[ ]", "{ }"])
        case 7: return "{\"version\":1,\"alg\":\"AES-256-GCM\",\"key_id\":\"kek-v2\",\"nonce\":7}"
        case 8:
            let elements = (0..<generator.int(1...3)).map { _ in unknownValue(&generator, depth: depth + 1) }
            return "[" + elements.joined(separator: " , ") + "]"
        default:
            let members = (0..<generator.int(1...3)).map { _ in
                let name = generator.pick(["key_id", "nonce", "é", ""])
                return "\"\(name)\": \(unknownValue(&generator, depth: depth + 1))"
            }
            return "{" + members.joined(separator: ",") + "\n}"
        }
    }
}
