import Testing

@testable import Envelope

@Suite("Secret bytes show nothing of themselves")
struct SecretBytesTests {
    /// "SeCrEt" in every form that a description could give it.
    private let traces = ["SeCrEt", "83", "0x53", "536543", "U2VDckV0"]

    private func secret() -> SecretBytes {
        SecretBytes(count: 32) { $0.copyBytes(from: "SeCrEtSeCrEtSeCrEtSeCrEtSeCrEt12".utf8) }
    }

    private func expectNoTrace(in text: String) {
        for trace in traces { #expect(!text.contains(trace), "\(text)") }
    }

    @Test func inDescriptionsAndMirrors() throws {
        let bytes = secret()
        let key = try KeyEncryptionKey(id: KeyID("kek-v1"), bytes: bytes)
        let keyring = try Keyring(primary: key)
        for value in [bytes, key, keyring, [key], ["a": keyring]] as [Any] {
            expectNoTrace(in: String(describing: value))
            expectNoTrace(in: String(reflecting: value))
            var dumped = ""
            dump(value, to: &dumped)
            expectNoTrace(in: dumped)
        }
        #expect(Mirror(reflecting: bytes).children.isEmpty)
        #expect(key.description == "kek-v1")
        #expect(keyring.description == "Keyring(kek-v1)")
    }

    @Test func areComparedByContent() throws {
        #expect(secret() == secret())
        #expect(try secret() != SecretBytes(randomCount: 32))
        #expect(try SecretBytes(randomCount: 3) != SecretBytes(randomCount: 4))
        #expect(try SecretBytes(randomCount: 0) == SecretBytes(randomCount: 0))
    }

    @Test func aFailedFillIsPassedOn() {
        struct Failure: Error {}
        #expect(throws: Failure.self) {
            try SecretBytes(count: 8) { (bytes) throws(Failure) in
                bytes.copyBytes(from: [1, 2, 3])
                throw Failure()
            }
        }
    }

    @Test func aScratchBufferIsWipedAndGrows() {
        let buffer = ScratchBuffer(capacity: 16)
        buffer.bytes(16).copyBytes(from: [UInt8](repeating: 7, count: 16))
        buffer.wipe(8)
        #expect(Array(buffer.bytes(16)) == [UInt8](repeating: 0, count: 8) + [UInt8](repeating: 7, count: 8))
        #expect(Array(buffer.bytes(100)) == [UInt8](repeating: 0, count: 100))
        buffer.wipe(1_000_000)
    }

    /// After each operation the cipher's working memory holds neither DEK nor plaintext, whether it went well
    /// or not.
    @Test func theCipherWipesItsWorkingMemory() throws {
        let rotation = try Rotation()
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        let plaintext = [UInt8](repeating: 0xAB, count: 300)
        let value = try rotation.writer.seal(plaintext)
        let text = try #require(WrittenEnvelope.members(of: value)["ciphertext"])
        let damaged = Array(
            String(decoding: value, as: UTF8.self).replacing(text, with: "AAAA\(text.dropFirst(4))").utf8)
        var output: [UInt8] = []
        func expectWiped() {
            #expect(cipher.dek.bytes(32).allSatisfy { $0 == 0 })
            #expect(cipher.openedDEK.bytes(32).allSatisfy { $0 == 0 })
            #expect(cipher.plaintext.bytes(316).allSatisfy { $0 == 0 })
            #expect(!cipher.sealed.bytes(316).contains([0xAB, 0xAB, 0xAB, 0xAB]))
        }
        _ = try cipher.rewrap(value, appendingTo: &output)
        expectWiped()
        _ = try cipher.reencrypt(value, appendingTo: &output)
        expectWiped()
        _ = try cipher.authenticate(value)
        expectWiped()
        try value.withUnsafeBytes { try cipher.open($0, into: &output) }
        #expect(output == plaintext)
        expectWiped()
        #expect(throws: EnvelopeError.self) { try cipher.reencrypt(damaged, appendingTo: &output) }
        expectWiped()
        #expect(throws: EnvelopeError.self) { try cipher.authenticate(damaged) }
        expectWiped()
        try plaintext.withUnsafeBytes { try cipher.seal($0, appendingTo: &output) }
        expectWiped()
    }
}
