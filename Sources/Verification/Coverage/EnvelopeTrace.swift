import Envelope

/// What a sampled value has to do with envelopes.
enum EnvelopeTrace: Hashable {
    /// It is one, under this key.
    case envelope(keyID: String)
    /// It holds what looks like one among other bytes, or a damaged one, or one in another spelling; under these
    /// keys, where that can be told.
    case embedded(keyIDs: Set<String>)
    case none

    /// `dek_wrapped` as the text form of a `bytea` spells it.
    static let memberInHex = hex("dek_wrapped")

    /// What the base64 of an envelope holds: the canonical beginning, or `dek_wrapped` or `ciphertext` at each of
    /// the three offsets that it may have. Lines end after 76 characters, which may part one of them.
    static let marksInBase64 = [
        "eyJ2ZXJzaW9uIjoxLCJhbGciOiJBRVMtMjU2LUdDTSIsImtl", "ZGVrX3dyYXBwZW", "Rla193cmFwcGVk",
        "kZWtfd3JhcHBlZ",
        "Y2lwaGVydGV4d", "NpcGhlcnRleH", "jaXBoZXJ0ZXh0",
    ]

    private static let members = ["key_id", "dek_wrapped", "nonce", "ciphertext"]
    private static let patterns = members.map { Array($0.utf8) }
    private static let hexPatterns = members.map { Array(hex($0).utf8) }
    /// Without `ciphertext`, which other systems have too.
    private static let base64Patterns = marksInBase64.prefix(4).map { Array($0.utf8) }

    init(of value: UnsafeRawBufferPointer) {
        do throws(EnvelopeError) {
            self = .envelope(keyID: try ParsedEnvelope(parsing: value).keyID.description)
        } catch {
            let keyIDs = EnvelopeFragments(in: Array(value)).keyIDs
            let isEmbedded =
                !keyIDs.isEmpty || Self.patterns.allSatisfy { Self.contains($0, in: value) }
                || Self.hexPatterns.allSatisfy { Self.contains($0, in: value) }
                || Self.base64Patterns.contains { Self.contains($0, in: value) }
            self = isEmbedded ? .embedded(keyIDs: keyIDs) : .none
        }
    }

    static func contains(_ pattern: [UInt8], in value: UnsafeRawBufferPointer) -> Bool {
        guard let first = pattern.first, value.count >= pattern.count else { return false }
        let last = value.count - pattern.count
        return (0...last).contains { offset in
            value[offset] == first && value[offset..<(offset + pattern.count)].elementsEqual(pattern)
        }
    }

    private static func hex(_ text: String) -> String {
        text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
