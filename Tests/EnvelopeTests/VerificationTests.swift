import Testing

@testable import Envelope

/// The last look at a value before it is kept is live: what it must catch is put before it here.
@Suite("A value that does not open again is not kept")
struct VerificationTests {
    let rotation: Rotation
    let cipher: EnvelopeCipher
    let value: [UInt8]
    let rewrapped: [UInt8]

    init() throws {
        rotation = try Rotation()
        cipher = try EnvelopeCipher(keyring: rotation.rotating)
        value = try rotation.writer.seal("sk-live-1234".utf8)
        rewrapped = try rotation.rotating.rewrap(value)
    }

    /// Verifies `candidate` as the rewrap of the value, with the value's DEK in hand.
    private func verify(_ candidate: [UInt8], spoil: (ScratchBuffer) -> Void = { _ in }) throws(EnvelopeError)
    {
        try value.withUnsafeBufferPointer { (value) throws(EnvelopeError) in
            let value = UnsafeRawBufferPointer(value)
            let parsed = try ParsedEnvelope(parsing: value)
            try cipher.unwrap(parsed, of: value, with: cipher.key(of: parsed), to: cipher.dek)
            spoil(cipher.dek)
            try candidate.withUnsafeBufferPointer { (candidate) throws(EnvelopeError) in
                try cipher.verify(rewritten: UnsafeRawBufferPointer(candidate), of: value, parsed)
            }
        }
    }

    private func expectRefused(_ candidate: [UInt8], spoil: (ScratchBuffer) -> Void = { _ in }) {
        let error = #expect(throws: EnvelopeError.self) { try verify(candidate, spoil: spoil) }
        #expect(error?.code == .verificationFailed)
    }

    @Test func theRightValuePasses() throws { try verify(rewrapped) }

    @Test func anotherDEKIsRefused() { expectRefused(rewrapped) { $0.bytes(32)[31] ^= 1 } }

    @Test func aValueStillUnderTheOldKeyIsRefused() { expectRefused(value) }

    @Test func aValueLabelledButNotWrappedIsRefused() throws {
        let text = String(decoding: value, as: UTF8.self).replacing("kek-v1", with: "kek-v2")
        expectRefused(Array(text.utf8))
    }

    @Test func aValueWrappedButNotLabelledIsRefused() throws {
        let text = String(decoding: rewrapped, as: UTF8.self).replacing("kek-v2", with: "kek-v1")
        expectRefused(Array(text.utf8))
    }

    @Test func aValueCutShortIsRefused() { expectRefused(rewrapped.dropLast()) }

    @Test func anEmptyValueIsRefused() { expectRefused([]) }

    @Test func dataOfAnotherValueIsRefused() throws {
        let mine = try WrittenEnvelope.members(of: rewrapped)
        let other = try WrittenEnvelope.members(of: try rotation.writer.seal("another".utf8))
        for member in ["nonce", "ciphertext"] {
            let text = try String(decoding: rewrapped, as: UTF8.self)
                .replacing(#require(mine[member]), with: #require(other[member]))
            expectRefused(Array(text.utf8))
        }
    }

    @Test func anotherPlaintextIsRefused() throws {
        let sealed = try rotation.target.seal("sk-live-1234".utf8)
        let error = #expect(throws: EnvelopeError.self) {
            try sealed.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
                let bytes = UnsafeRawBufferPointer(bytes)
                let parsed = try ParsedEnvelope(parsing: bytes)
                _ = try cipher.openData(parsed, of: bytes)
                try cipher.unwrap(parsed, of: bytes, with: cipher.primary, to: cipher.dek)
                // The right plaintext passes.
                try cipher.verify(reencrypted: bytes, plaintextCount: 12)
                cipher.plaintext.bytes(12)[0] ^= 1
                try cipher.verify(reencrypted: bytes, plaintextCount: 12)
            }
        }
        #expect(error?.code == .verificationFailed)
    }

    /// With another key in the place that verification opens with, nothing that is made opens again.
    @Test func rewrapAndReencryptVerify() throws {
        let other = try KeyEncryptionKey.generate(id: KeyID("kek-v2"))
        try other.bytes.withUnsafeBytes { try cipher.primary.unwrapper.setKey($0) }
        var output: [UInt8] = [1, 2, 3]
        let rewrap = #expect(throws: EnvelopeError.self) { try cipher.rewrap(value, appendingTo: &output) }
        #expect(rewrap?.code == .verificationFailed)
        let reencrypt = #expect(throws: EnvelopeError.self) {
            try cipher.reencrypt(value, appendingTo: &output)
        }
        #expect(reencrypt?.code == .verificationFailed)
        #expect(output == [1, 2, 3])
    }

    @Test func whatIsRefusedIsTakenOffAgain() {
        var output: [UInt8] = [1, 2, 3, 4, 5]
        let error = #expect(throws: EnvelopeError.self) {
            try output.keepAppended(from: 2) { (appended) throws(EnvelopeError) in
                #expect(Array(appended) == [3, 4, 5])
                throw EnvelopeError(.verificationFailed)
            }
        }
        #expect(error?.code == .verificationFailed)
        #expect(output == [1, 2])
    }
}
