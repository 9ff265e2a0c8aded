import Testing

@testable import Envelope

@Suite("The settings that hold keys")
struct KeyringTests {
    static let first = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    static let second = "gMUcpUd7OGWrbsKFRXCN+KAF3hM7Ulma46NsOMMGXeM="
    static let third = "+xYT5hqlNbDT60ZDH1emAdXjwrq0tHiQcruaRWqjYD8="

    @Test func readsThem() throws {
        let keyring = try Keyring(
            primarySetting: "kek-v3:\(Self.third)\n",
            previousSetting: " kek-v2:\(Self.second) ,\tkek-v1:\(Self.first)\r\n")
        #expect(keyring.ids.map(\.description) == ["kek-v3", "kek-v2", "kek-v1"])
        #expect(keyring.description == "Keyring(kek-v3, kek-v2, kek-v1)")
        #expect(try keyring[KeyID("kek-v1")]?.id.description == "kek-v1")
        #expect(try keyring[KeyID("kek-v3")]?.checkValue == keyring.primary.checkValue)
        #expect(try keyring[KeyID("kek-v4")] == nil)
        keyring.previous[1].bytes.withUnsafeBytes { #expect(Array($0) == Array(0...31)) }
    }

    @Test(arguments: [nil, "", " ", "\n\t "])
    func noPreviousKeys(_ previous: String?) throws {
        #expect(
            try Keyring(primarySetting: "kek-v1:\(Self.first)", previousSetting: previous).previous.isEmpty)
    }

    /// Bad settings: the primary, the previous, the code, and what the error must name.
    static let refused: [(String, String?, KeyringError.Code, String)] = [
        ("", nil, .missingPrimary, "primary"), (" \n", nil, .missingPrimary, "primary"),
        (first, nil, .missingSeparator, "primary"), ("kek-v1", nil, .missingSeparator, "primary"),
        (":\(first)", nil, .malformedKeyID, "primary"), ("kek v1:\(first)", nil, .malformedKeyID, "primary"),
        ("\"kek-v1:\(first)\"", nil, .malformedKeyID, "primary"),
        ("\(first):kek-v1", nil, .malformedKeyID, "primary"),
        ("kek-v1:\(first.dropLast())", nil, .notBase64, "kek-v1"),
        ("kek-v1:\(first)=", nil, .notBase64, "kek-v1"),
        ("kek-v1: \(first)", nil, .notBase64, "kek-v1"), ("kek-v1:\(first):x", nil, .notBase64, "kek-v1"),
        ("kek-v1:\(third.replacing("+", with: "-"))", nil, .notBase64, "kek-v1"),
        ("kek-v1:\(first.prefix(20))\n\(first.dropFirst(20))", nil, .notBase64, "kek-v1"),
        ("kek-v1:", nil, .wrongKeySize, "kek-v1"),
        ("kek-v1:\(first.prefix(40))", nil, .wrongKeySize, "kek-v1"),
        ("kek-v1:\(first.dropLast(4))Hh8g", nil, .wrongKeySize, "kek-v1"),
        ("kek-v1:\(first.dropLast(4))Hg==", nil, .wrongKeySize, "kek-v1"),
        ("kek-v1:" + String(repeating: "0f", count: 32), nil, .wrongKeySize, "kek-v1"),
        ("kek-v1:\(first)", ",", .emptyElement, "previous #1"),
        ("kek-v1:\(first)", "kek-v0:\(second),", .emptyElement, "previous #2"),
        ("kek-v1:\(first)", "kek-v0:\(second), ,kek-v2:\(third)", .emptyElement, "previous #2"),
        ("kek-v1:\(first)", "kek-v0:\(second);kek-v2:\(third)", .notBase64, "kek-v0"),
        (
            "kek-v1:\(first)", "kek-v0:\(second),kek-v2:\(third.prefix(12))", .wrongKeySize,
            "kek-v2 (previous #2)"
        ),
        ("kek-v1:\(first)", "kek-v1:\(second)", .duplicateKeyID, "kek-v1"),
        ("kek-v1:\(first)", "kek-v1:\(first)", .duplicateKeyID, "kek-v1"),
        ("kek-v1:\(first)", "kek-v0:\(second),kek-v0:\(third)", .duplicateKeyID, "previous #2"),
        ("kek-v1:\(first)", "kek-v0:\(first)", .sameKeyTwice, "kek-v0"),
        ("kek-v1:\(first)", "kek-v0:\(second),kek-v2:\(second)", .sameKeyTwice, "kek-v2"),
    ]

    @Test(arguments: refused)
    func refuses(_ primary: String, _ previous: String?, _ code: KeyringError.Code, _ names: String) throws {
        let error = try #require(throws: KeyringError.self) {
            try Keyring(primarySetting: primary, previousSetting: previous)
        }
        #expect(error.code == code, "\(error)")
        #expect(error.description.contains(names), "\(error)")
        // No eight characters in a row of any key, however it was given.
        for key in [Self.first, Self.second, Self.third, String(repeating: "0f", count: 32)] {
            let characters = Array(key)
            for start in 0...(characters.count - 8) {
                #expect(!error.description.contains(String(characters[start..<(start + 8)])), "\(error)")
            }
        }
    }

    /// Unpadded base64url and hexadecimal keys have the form of an id: where id and key changed places, the
    /// "id" is the key.
    @Test(arguments: [
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", String(repeating: "0f", count: 32),
    ])
    func anIDThatMayBeAKeyIsNotNamed(_ key: String) throws {
        for setting in ["\(key):kek-v1", "\(key):kekv"] {
            let error = try #require(throws: KeyringError.self) { try Keyring(primarySetting: setting) }
            #expect(error.keyID == nil)
            #expect(!error.description.contains(key.prefix(8)))
        }
        // With a good key behind it, it is an id.
        #expect(try Keyring(primarySetting: "\(key):\(Self.first)").primary.id.description == key)
    }
}
