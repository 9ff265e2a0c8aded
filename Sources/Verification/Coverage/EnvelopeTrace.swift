import Envelope

/// What a sampled value has to do with envelopes.
enum EnvelopeTrace: Hashable {
    /// It is one, under this key.
    case envelope(keyID: String)
    /// It holds what looks like one among other bytes, or a damaged one.
    case embedded
    case none

    /// `dek_wrapped` as the text form of a `bytea` spells it.
    static let memberInHex = "dek_wrapped".utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()

    private static let members = ["key_id", "dek_wrapped", "nonce", "ciphertext"]
    private static let patterns = members.map { Array($0.utf8) }
    private static let hexPatterns = members.map { name in
        Array(name.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined().utf8)
    }

    init(of value: UnsafeRawBufferPointer) {
        do throws(EnvelopeError) {
            self = .envelope(keyID: try ParsedEnvelope(parsing: value).keyID.description)
        } catch {
            let isEmbedded =
                Self.patterns.allSatisfy { Self.contains($0, in: value) }
                || Self.hexPatterns.allSatisfy { Self.contains($0, in: value) }
            self = isEmbedded ? .embedded : .none
        }
    }

    private static func contains(_ pattern: [UInt8], in value: UnsafeRawBufferPointer) -> Bool {
        guard let first = pattern.first, value.count >= pattern.count else { return false }
        let last = value.count - pattern.count
        return (0...last).contains { offset in
            value[offset] == first && value[offset..<(offset + pattern.count)].elementsEqual(pattern)
        }
    }
}
