import TestSupport
import Testing

@testable import Envelope

@Suite("Rewrap and re-encrypt, over random legal envelopes")
struct RewrapPropertyTests {
    static let seeds: [UInt64] = Array(1...200)

    private func sample(_ seed: UInt64, _ rotation: Rotation) throws -> WrittenEnvelope {
        var generator = SeededGenerator(seed: seed)
        let count = generator.chance(0.1) ? 0 : generator.int(0...(generator.chance(0.1) ? 5000 : 200))
        return try WrittenEnvelope(
            sealing: generator.bytes(count), with: rotation.writer, using: &generator)
    }

    /// The bytes that stay: all but those between the quotes of the named members, as the writer placed them.
    private func rest(_ bytes: [UInt8], _ places: [Range<Int>], lengths: [Int]) -> [UInt8] {
        var result: [UInt8] = []
        var offset = 0
        for (place, length) in zip(places, lengths) {
            guard bytes.count >= offset + place.lowerBound + length else { return [] }
            result += bytes[offset..<(offset + place.lowerBound)]
            offset += place.lowerBound + length
        }
        return result + bytes[offset...]
    }

    /// Where the values stand relative to the end of the one before.
    private func relative(_ places: [Range<Int>]) -> [Range<Int>] {
        var end = 0
        return places.map { place in
            defer { end = place.upperBound }
            return (place.lowerBound - end)..<(place.upperBound - end)
        }
    }

    private func expectOnly(
        _ names: [String: Int], changedFrom written: WrittenEnvelope, to output: [UInt8], seed: UInt64
    ) throws {
        let changed = written.places.filter { names[$0.key] != nil }.sorted {
            $0.value.lowerBound < $1.value.lowerBound
        }
        let places = relative(changed.map(\.value))
        let kept = rest(written.bytes, places, lengths: places.map(\.count))
        #expect(rest(output, places, lengths: changed.map { names[$0.key] ?? 0 }) == kept, "seed \(seed)")
    }

    @Test(arguments: seeds)
    func rewrapKeepsPlaintextAndAllOtherBytes(_ seed: UInt64) throws {
        let rotation = try Rotation()
        let written = try sample(seed, rotation)
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        #expect(try cipher.examine(written.bytes) == .old(KeyID("kek-v1")), "seed \(seed)")

        var output: [UInt8] = [1, 2, 3]
        #expect(try cipher.rewrap(written.bytes, appendingTo: &output) == .rewritten, "seed \(seed)")
        #expect(output.prefix(3) == [1, 2, 3])
        output.removeFirst(3)
        #expect(try rotation.target.open(output) == written.plaintext, "seed \(seed)")
        try expectOnly(["key_id": 6, "dek_wrapped": 80], changedFrom: written, to: output, seed: seed)

        // A second time there is nothing to do.
        var again: [UInt8] = [4]
        #expect(try cipher.rewrap(output, appendingTo: &again) == .current, "seed \(seed)")
        #expect(again == [4])
        #expect(try cipher.examine(output) == .current, "seed \(seed)")
        #expect(try cipher.unwrapDEK(of: output) == rotation.target.primary.id, "seed \(seed)")
        #expect(try cipher.authenticate(output) == rotation.target.primary.id, "seed \(seed)")
    }

    @Test(arguments: seeds)
    func reencryptKeepsPlaintextAndUnknownMembers(_ seed: UInt64) throws {
        let rotation = try Rotation()
        let written = try sample(seed, rotation)
        let cipher = try EnvelopeCipher(keyring: rotation.rotating)
        var output: [UInt8] = []
        #expect(try cipher.reencrypt(written.bytes, appendingTo: &output) == .rewritten, "seed \(seed)")
        #expect(try rotation.target.open(output) == written.plaintext, "seed \(seed)")
        let lengths = [
            "key_id": 6, "dek_wrapped": 80, "nonce": 16,
            "ciphertext": Base64.encodedCount(written.plaintext.count + 16),
        ]
        try expectOnly(lengths, changedFrom: written, to: output, seed: seed)
        #expect(
            try dek(of: output, rotation.rotating) != dek(of: written.bytes, rotation.rotating),
            "seed \(seed)")
        #expect(
            try dataNonce(of: output, rotation.rotating) != dataNonce(of: written.bytes, rotation.rotating),
            "seed \(seed)")

        var again: [UInt8] = []
        #expect(try cipher.reencrypt(output, appendingTo: &again) == .current, "seed \(seed)")
        #expect(again.isEmpty)
    }

    @Test func rewrapKeepsTheDEKUnderAFreshNonce() throws {
        let rotation = try Rotation()
        let value = try rotation.writer.seal([1, 2, 3])
        let first = try rotation.rotating.rewrap(value)
        let second = try rotation.rotating.rewrap(value)
        #expect(first != second)
        #expect(try dek(of: first, rotation.rotating) == dek(of: value, rotation.rotating))
        #expect(try dek(of: second, rotation.rotating) == dek(of: value, rotation.rotating))
    }

    private func dek(of value: [UInt8], _ keyring: Keyring) throws -> [UInt8] {
        let cipher = try EnvelopeCipher(keyring: keyring)
        return try value.withUnsafeBytes { value in
            let parsed = try ParsedEnvelope(parsing: value)
            try cipher.unwrap(parsed, of: value, with: cipher.key(of: parsed), to: cipher.dek)
            return Array(cipher.dek.bytes(32))
        }
    }

    private func dataNonce(of value: [UInt8], _ keyring: Keyring) throws -> [UInt8] {
        let cipher = try EnvelopeCipher(keyring: keyring)
        return try value.withUnsafeBytes { value in
            Array(cipher.text(of: try ParsedEnvelope(parsing: value).nonce, in: value))
        }
    }
}
