import COpenSSL
import Testing

@testable import Envelope

@Suite("Damaged values are refused and leave the output as it was")
struct DamageTests {
    private func expectRefused(
        _ value: [UInt8], by cipher: EnvelopeCipher, _ note: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> EnvelopeError? {
        var output: [UInt8] = [9, 8, 7]
        for isRewrap in [true, false] {
            do {
                _ =
                    isRewrap
                    ? try cipher.rewrap(value, appendingTo: &output)
                    : try cipher.reencrypt(value, appendingTo: &output)
                Issue.record("accepted: \(note)", sourceLocation: sourceLocation)
                return nil
            } catch {
                #expect(output == [9, 8, 7], "\(note): \(error)", sourceLocation: sourceLocation)
                #expect(ERR_peek_error() == 0, "\(note)", sourceLocation: sourceLocation)
            }
        }
        do {
            _ = try cipher.examine(value)
            Issue.record("examined: \(note)", sourceLocation: sourceLocation)
        } catch {
            return error
        }
        return nil
    }

    @Test func everyTruncationIsRefused() throws {
        let rotation = try Rotation()
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        let value = try rotation.writer.seal("sk-live-1234".utf8)
        for count in 0..<value.count {
            #expect(expectRefused(Array(value[..<count]), by: cipher, "\(count) bytes")?.code == .notJSON)
        }
    }

    /// Every bit of the 60 bytes, put back into base64.
    @Test func everyFlippedBitOfTheWrappedDEKIsRefused() throws {
        let rotation = try Rotation()
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        let value = try rotation.writer.seal("sk-live-1234".utf8)
        let place = try value.withUnsafeBytes { try ParsedEnvelope(parsing: $0).wrappedDEK.range }
        var wrapped = [UInt8](repeating: 0, count: 60)
        wrapped.withUnsafeMutableBytes { bytes in
            value.withUnsafeBytes { Base64.decode(UnsafeRawBufferPointer(rebasing: $0[place]), into: bytes) }
        }
        for bit in 0..<480 {
            var flipped = wrapped
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            var damaged = value
            flipped.withUnsafeBytes { bytes in
                damaged.withUnsafeMutableBytes {
                    Base64.encode(bytes, into: UnsafeMutableRawBufferPointer(rebasing: $0[place]))
                }
            }
            let error = expectRefused(damaged, by: cipher, "bit \(bit)")
            #expect(error?.code == .wrappedKeyNotAuthentic)
            #expect(error?.keyID == rotation.writer.primary.id)
        }
    }

    @Test func aDEKUnderAnotherKeyOfTheSameNameIsRefused() throws {
        let rotation = try Rotation()
        let other = try Keyring(primary: .generate(id: KeyID("kek-v1")))
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        let error = expectRefused(try other.seal([1]), by: cipher, "another key")
        #expect(error?.code == .wrappedKeyNotAuthentic)
    }

    @Test func anUnknownKeyIsRefused() throws {
        let rotation = try Rotation()
        let other = try Keyring(primary: .generate(id: KeyID("kek-v0")))
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        let error = expectRefused(try other.seal([1]), by: cipher, "unknown key")
        #expect(error?.code == .unknownKey)
        #expect(try error?.keyID == KeyID("kek-v0"))
    }

    /// A rewrap does not open the data, so damage there is found by opening, authenticating and re-encrypting
    /// alone.
    @Test func damagedDataIsRefused() throws {
        let rotation = try Rotation()
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        for member in ["nonce", "ciphertext"] {
            let value = try rotation.writer.seal("sk-live-1234".utf8)
            let text = try #require(WrittenEnvelope.members(of: value)[member])
            let first = text.hasPrefix("A") ? "B" : "A"
            let damaged = Array(
                String(decoding: value, as: UTF8.self)
                    .replacing("\"\(text)\"", with: "\"\(first)\(text.dropFirst())\"").utf8)
            let refusal = #expect(throws: EnvelopeError.self) { try cipher.authenticate(damaged) }
            #expect(refusal?.code == .valueNotAuthentic)
            #expect(refusal?.keyID == rotation.writer.primary.id)
            #expect(throws: EnvelopeError.self) { try rotation.writer.open(damaged) }
            var output: [UInt8] = [5]
            let error = #expect(throws: EnvelopeError.self) {
                try cipher.reencrypt(damaged, appendingTo: &output)
            }
            #expect(error?.code == .valueNotAuthentic)
            #expect(output == [5])
            // Not a promise, but what the contract says of rewrap: the data's own tag is not checked.
            #expect(try cipher.rewrap(damaged, appendingTo: &output) == .rewritten)
        }
    }

    @Test func theCipherServesTheNextValueAfterAFailure() throws {
        let rotation = try Rotation()
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        let value = try rotation.writer.seal("sk-live-1234".utf8)
        let other = try Keyring(primary: .generate(id: KeyID("kek-v1"))).seal([1])
        for _ in 0..<3 {
            var output: [UInt8] = []
            #expect(throws: EnvelopeError.self) { try cipher.rewrap(other, appendingTo: &output) }
            #expect(try cipher.rewrap(value, appendingTo: &output) == .rewritten)
            #expect(try rotation.target.open(output) == Array("sk-live-1234".utf8))
        }
    }
}
