import Testing

@testable import Envelope

@Suite("Errors say what is wrong and nothing of the value")
struct EnvelopeErrorTests {
    static let all: [(EnvelopeError.Code, EnvelopeError.Category)] = [
        (.notJSON, .malformed), (.notUTF8, .malformed), (.notAnObject, .malformed),
        (.trailingBytes, .malformed),
        (.tooDeep, .malformed), (.tooLarge, .malformed), (.duplicateMember, .malformed),
        (.missingMember, .malformed), (.wrongType, .malformed), (.wrongSize, .malformed),
        (.notBase64, .malformed),
        (.invalidKeyID, .malformed), (.unsupportedVersion, .unsupportedVersion),
        (.unsupportedAlgorithm, .unsupportedAlgorithm), (.unknownKey, .unknownKey),
        (.wrappedKeyNotAuthentic, .authentication), (.valueNotAuthentic, .authentication),
        (.verificationFailed, .internal), (.cryptoUnavailable, .internal),
    ]

    @Test(arguments: all)
    func haveACategoryAndASentence(_ code: EnvelopeError.Code, _ category: EnvelopeError.Category) throws {
        #expect(code.category == category)
        for member in [nil, EnvelopeMember.nonce, .version] {
            for id in [nil, try KeyID("kek-v1")] {
                let error = EnvelopeError(code, member: member, keyID: id, offset: 7)
                #expect(error.category == category)
                #expect(error.description.count > 15)
                #expect(!error.description.contains("is refused ("), "\(error)")
            }
        }
    }

    @Test func sentences() throws {
        let id = try KeyID("kek-v1")
        let expected: [(EnvelopeError, String)] = [
            (.init(.missingMember, member: .nonce), #"no envelope: member "nonce" is missing"#),
            (.init(.notJSON, offset: 12), "no envelope: the value is not JSON (at byte 12)"),
            (.init(.wrongType, member: .version), #"no envelope: member "version" is not an integer"#),
            (
                .init(.wrappedKeyNotAuthentic, member: .wrappedDEK, keyID: id),
                "wrapped by another key than kek-v1, or damaged: the DEK does not open"
            ),
            (.init(.unknownKey, keyID: id), "under key kek-v1, which the keyring does not hold"),
        ]
        for (error, text) in expected { #expect(error.description == text) }
    }

    /// Refused values full of a marker: no error repeats it.
    @Test func repeatNothingOfTheValue() {
        let marker = "Marker7"
        let values = [
            marker, "{\"\(marker)\":1", "[\"\(marker)\"]", "{\"\(marker)\":1}",
            EnvelopeText.make(["alg": "\"\(marker)\""]), EnvelopeText.make(["key_id": "\"\(marker) \""]),
            EnvelopeText.make(["nonce": "\"\(marker)!\""]), EnvelopeText.make(["version": "\"\(marker)\""]),
            EnvelopeText.make() + marker,
        ]
        for value in values {
            let error = refusal(of: value)
            #expect(error != nil)
            #expect(error?.description.contains(marker) == false)
        }
    }

    @Test func sealingTooMuchIsRefusedBeforeItIsRead() throws {
        let cipher = try EnvelopeCipher(keyring: Vectors.keyring())
        try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { memory in
            for count in [Int(Int32.max), Int.max] {
                let data = UnsafeRawBufferPointer(start: try #require(memory.baseAddress), count: count)
                var output: [UInt8] = [1]
                let error = #expect(throws: EnvelopeError.self) {
                    try cipher.seal(data, appendingTo: &output)
                }
                #expect(error?.code == .tooLarge)
                #expect(output == [1])
            }
        }
    }
}
