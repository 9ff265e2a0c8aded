import Testing

@testable import Envelope

@Suite("Keys, their names and check values")
struct KeyTests {
    @Test(arguments: ["k", "kek-v1", "A.b_C-9", String(repeating: "x", count: 64)])
    func wellFormedIDs(_ text: String) throws {
        #expect(try KeyID(text).description == text)
        #expect(KeyID(bytes: text.utf8)?.description == text)
    }

    @Test(arguments: [
        "", " ", "kek v1", "kek:v1", "kek/v1", "k\u{e9}k", "kek\n", "\"k\"",
        String(repeating: "x", count: 65),
    ])
    func malformedIDs(_ text: String) {
        let error = #expect(throws: KeyringError.self) { try KeyID(text) }
        #expect(error?.code == .malformedKeyID)
        #expect(text.count < 3 || error?.description.contains(text) == false)
        #expect(KeyID(bytes: text.utf8) == nil)
    }

    @Test(arguments: [
        ("kek-v1", "kek-v2"), ("kek-v9", "kek-v10"), ("kek-v09", "kek-v10"), ("kek-v099", "kek-v100"),
        ("kek-v99", "kek-v100"), ("kek", "kek-v2"), ("2024", "2025"), ("999", "1000"), ("a9b", "a9b-v2"),
        ("k" + String(repeating: "9", count: 40), "k1" + String(repeating: "0", count: 40)),
    ])
    func nextVersion(_ id: String, _ next: String) throws {
        #expect(try KeyID(id).nextVersion().description == next)
    }

    @Test func nextVersionBeyond64Characters() throws {
        for id in [String(repeating: "k", count: 62), String(repeating: "9", count: 64)] {
            let error = #expect(throws: KeyringError.self) { try KeyID(id).nextVersion() }
            #expect(error?.code == .keyIDTooLong)
        }
        #expect(try KeyID(String(repeating: "k", count: 61)).nextVersion().description.count == 64)
    }

    @Test func idsAreOrderedByTheirBytes() throws {
        #expect(
            try [KeyID("b"), KeyID("a-"), KeyID("B"), KeyID("a")].sorted().map(\.description) == [
                "B", "a", "a-", "b",
            ])
    }

    /// Computed by Python: `hmac.new(key, b"reencrypt-secrets key check", hashlib.sha256).hexdigest()[:16]`.
    @Test func checkValues() throws {
        let keyring = try Vectors.keyring(primary: "kek-v2", previous: ["kek-v1"])
        #expect(keyring.primary.checkValue.description == "9162fe4efdc06d61")
        #expect(keyring.previous[0].checkValue.description == "0f2cec8985a45672")
        let counting = try KeyEncryptionKey(
            id: KeyID("k"), bytes: SecretBytes(count: 32) { $0.copyBytes(from: UInt8(0)...31) })
        #expect(counting.checkValue.description == "c2ab470644811737")
    }

    @Test func checkValuesAreReadInEitherCase() {
        #expect(KeyCheckValue(hex: "0f2cec8985a45672")?.description == "0f2cec8985a45672")
        #expect(KeyCheckValue(hex: "0F2CEC8985A45672") == KeyCheckValue(hex: "0f2cec8985a45672"))
        for text in [
            "", "0f2cec8985a4567", "0f2cec8985a456722", "0f2cec8985a4567g", "0x2cec8985a45672",
            "+f2cec8985a45672",
        ] {
            #expect(KeyCheckValue(hex: text) == nil)
        }
    }

    @Test func generatedKeysDiffer() throws {
        let id = try KeyID("kek-v1")
        let first = try KeyEncryptionKey.generate(id: id)
        let second = try KeyEncryptionKey.generate(id: id)
        #expect(first.bytes.count == 32)
        #expect(first.bytes != second.bytes)
        #expect(first.checkValue != second.checkValue)
    }

    @Test func aKeyHas32Bytes() throws {
        for count in [0, 16, 31, 33] {
            let error = #expect(throws: KeyringError.self) {
                try KeyEncryptionKey(id: KeyID("kek-v1"), bytes: SecretBytes(randomCount: count))
            }
            #expect(error?.code == .wrongKeySize)
        }
    }

    @Test func aPrintedKeyIsReadAgain() throws {
        let key = try KeyEncryptionKey.generate(id: KeyID("kek-v7"))
        let read = try key.withBase64 { text in
            #expect(text.count == 7 + 44)
            return try Keyring(primarySetting: text, previousSetting: nil)
        }
        #expect(read.primary.id == key.id)
        #expect(read.primary.bytes == key.bytes)
    }

    @Test func authenticationCodesDependOnKeyAndMessage() throws {
        let keys = try Vectors.keyring()
        let code = try keys.primary.authenticationCode(for: [1])
        #expect(code.count == 32)
        #expect(try code != keys.primary.authenticationCode(for: [2]))
        #expect(try code != keys.previous[0].authenticationCode(for: [1]))
    }

    @Test func canonicalPrefix() throws {
        let prefix = CanonicalPrefix.bytes(for: try KeyID("kek-v2"))
        #expect(
            String(decoding: prefix, as: UTF8.self) == #"{"version":1,"alg":"AES-256-GCM","key_id":"kek-v2","#
        )
        let keyring = try Vectors.keyring(primary: "kek-v2", previous: [])
        #expect(try keyring.seal([]).starts(with: prefix))
    }
}
