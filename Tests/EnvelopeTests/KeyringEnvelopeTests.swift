import Envelope
import Foundation
import TestSupport
import Testing

@Suite("What applications call")
struct KeyringEnvelopeTests {
    let rotation: Rotation

    init() throws { rotation = try Rotation() }

    @Test(arguments: [0, 1, 15, 16, 17, 100, 1023, 1024, 1025, 16384, 100_000])
    func sealsAndOpens(_ count: Int) throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let plaintext = generator.bytes(count)
        let sealed = try rotation.rotating.seal(plaintext)
        #expect(try rotation.target.open(sealed) == plaintext)
        #expect(try rotation.rotating.isCurrent(sealed))
        #expect(try rotation.rotating.seal(plaintext) != sealed)
        // The canonical form: the contract's order, no white space.
        let members = try WrittenEnvelope.members(of: sealed)
        let names = ["alg", "key_id", "dek_wrapped", "nonce", "ciphertext"]
        let rest = names.map { "\"\($0)\":\"\(members[$0] ?? "")\"" }.joined(separator: ",")
        let canonical = "{\"version\":1,\(rest)}"
        #expect(String(decoding: sealed, as: UTF8.self) == canonical)
    }

    /// Collections with and without contiguous storage.
    @Test func sealsAnyBytes() throws {
        #expect(try rotation.target.open(rotation.target.seal("clé 🔑".utf8)) == Array("clé 🔑".utf8))
        #expect(try rotation.target.open(rotation.target.seal(Data([1, 2]))) == [1, 2])
        #expect(
            try rotation.target.open(rotation.target.seal([1, 2, 3].reversed() as ReversedCollection)) == [
                3, 2, 1,
            ])
        #expect(try rotation.target.open(rotation.target.seal(EmptyCollection())) == [])
    }

    @Test func text() throws {
        let sealed: String = try rotation.writer.seal("clé 🔑")
        #expect(try Keyring.keyID(of: sealed) == rotation.writer.primary.id)
        #expect(try !rotation.rotating.isCurrent(sealed))
        for renewed in [try rotation.rotating.rewrap(sealed), try rotation.rotating.reencrypt(sealed)] {
            #expect(try rotation.rotating.isCurrent(renewed))
            #expect(try String(validating: rotation.target.open(renewed), as: UTF8.self) == "clé 🔑")
            // What is current comes back as it is.
            #expect(try rotation.rotating.rewrap(renewed) == renewed)
            #expect(try rotation.rotating.reencrypt(renewed) == renewed)
        }
    }

    @Test func writesUnderThePrimaryAloneAndReadsUnderAll() throws {
        let old = try rotation.writer.seal([1])
        #expect(try rotation.rotating.open(old) == [1])
        let error = #expect(throws: EnvelopeError.self) { try rotation.target.open(old) }
        #expect(error?.code == .unknownKey)
        let new = try rotation.rotating.seal([2])
        #expect(try rotation.target.open(new) == [2])
        #expect(throws: EnvelopeError.self) { try rotation.writer.open(new) }
    }

    @Test func aLongKeyID() throws {
        let id = try KeyID(String(repeating: "k", count: 64))
        let keyring = try Keyring(primary: .generate(id: id), previous: [rotation.writer.primary])
        let rewrapped = try keyring.rewrap(rotation.writer.seal([7]))
        #expect(try Keyring.keyID(of: rewrapped) == id)
        #expect(try keyring.open(rewrapped) == [7])
    }

    @Test func fromSeveralThreads() async throws {
        let keyring = rotation.rotating
        let old = try rotation.writer.seal([1, 2, 3])
        try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for _ in 0..<32 { group.addTask { try keyring.open(keyring.rewrap(old)) } }
            for try await opened in group { #expect(opened == [1, 2, 3]) }
        }
    }
}
