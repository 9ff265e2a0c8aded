import Testing

@testable import Envelope

@Suite("What is an envelope, and what is not")
struct ParsedEnvelopeTests {
    @Test(arguments: EnvelopeText.accepted)
    func accepts(_ text: String) { #expect(refusal(of: text) == nil) }

    @Test(arguments: EnvelopeText.refused)
    func refuses(_ code: EnvelopeError.Code, _ texts: [String]) {
        for text in texts { #expect(refusal(of: text)?.code == code, "\(text)") }
    }

    @Test func theVersionIsNamedBeforeAllElseButTheGrammar() {
        let other = EnvelopeText.make(["version": "2", "alg": "7", "nonce": "\"!\"", "ciphertext": nil])
        #expect(refusal(of: other)?.code == .unsupportedVersion)
        #expect(refusal(of: String(other.dropLast()))?.code == .notJSON)
        let algorithm = EnvelopeText.make(["alg": "\"AES-128-GCM\"", "dek_wrapped": "\"AAAA\"", "nonce": nil])
        #expect(refusal(of: algorithm)?.code == .unsupportedAlgorithm)
        let last = EnvelopeText.make(["alg": nil, "nonce": "7"], back: ",\"alg\":\"AES-128-GCM\"")
        #expect(refusal(of: last)?.code == .unsupportedAlgorithm)
    }

    @Test func bytesThatAreNotUTF8() {
        let sequences: [[UInt8]] = [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80],
            [0xE0, 0x9F, 0xBF],
            [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28],
            [0xF0, 0x80, 0x80, 0x80],
            [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF1, 0x80, 0x80],
            [0xF1, 0x80, 0x80, 0x28], [0xFF], [0xFE],
        ]
        for sequence in sequences {
            let value = Array("{\"x\":\"".utf8) + sequence + Array("\"}".utf8)
            #expect(refusal(of: value)?.code == .notUTF8, "\(sequence)")
            #expect(refusal(of: value)?.offset == 6)
            // Where the value ends with the sequence there is nothing behind it to read.
            #expect(refusal(of: Array("{\"x\":\"".utf8) + sequence) != nil)
        }
        #expect(refusal(of: [0x7B, 0xC3, 0xA9, 0x7D])?.code == .notJSON)
    }

    @Test func whereAFaultIs() {
        let text = EnvelopeText.make(["nonce": "\"!\""])
        let error = refusal(of: text)
        #expect(error?.member == .nonce)
        #expect(
            error?.offset == text.utf8.count
                - "\"!\",\"ciphertext\":\"\(EnvelopeText.ciphertext)\"}".utf8.count)
        #expect(refusal(of: EnvelopeText.make(["ciphertext": nil]))?.member == .ciphertext)
    }

    @Test func tooLargeIsSeenBeforeTheFirstByte() {
        // Nothing is read of a value this long, so the pointer need not be good for it.
        withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { memory in
            let value = UnsafeRawBufferPointer(start: memory.baseAddress, count: Int(Int32.max) + 1)
            let error = #expect(throws: EnvelopeError.self) { try ParsedEnvelope(parsing: value) }
            #expect(error?.code == .tooLarge)
        }
    }

    @Test func whatItFound() throws {
        let text = EnvelopeText.make(["key_id": "\"\\u006bek-v1\""])
        try Array(text.utf8).withUnsafeBytes { value in
            let parsed = try ParsedEnvelope(parsing: value)
            #expect(try parsed.keyID == KeyID("kek-v1"))
            #expect(try parsed.hasKeyID(KeyIDBytes(KeyID("kek-v1"))))
            #expect(try !parsed.hasKeyID(KeyIDBytes(KeyID("kek-v2"))))
            #expect(try !parsed.hasKeyID(KeyIDBytes(KeyID("kek-v11"))))
            #expect(parsed.keyIDToken.hasEscapes)
            #expect(!parsed.nonce.hasEscapes)
            #expect(String(decoding: value[parsed.nonce.range], as: UTF8.self) == EnvelopeText.nonce)
            #expect(String(decoding: value[parsed.wrappedDEK.range], as: UTF8.self) == EnvelopeText.dek)
            #expect(
                String(decoding: value[parsed.ciphertext.range], as: UTF8.self) == EnvelopeText.ciphertext)
            #expect(parsed.ciphertextCount == 16)
        }
    }
}
