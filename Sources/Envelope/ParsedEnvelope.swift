/// A stored value that is an envelope by its shape (contract, section 1): where its members stand.
///
/// Parsing is by RFC 8259 and strict: any member order, white space, escapes and unknown members of any shape
/// are legal, as other writers exist; a member of the six that stands twice is not, since readers differ in
/// which they take. No tag is checked here. Nothing is allocated, and nothing of the value is copied but the
/// key id.
package struct ParsedEnvelope: Sendable {
    /// The string that is `key_id`'s value.
    package internal(set) var keyIDToken = JSONStringToken.none
    /// The string that is `dek_wrapped`'s value.
    package internal(set) var wrappedDEK = JSONStringToken.none
    /// The string that is `nonce`'s value.
    package internal(set) var nonce = JSONStringToken.none
    /// The string that is `ciphertext`'s value.
    package internal(set) var ciphertext = JSONStringToken.none
    /// How many bytes `ciphertext` decodes to: those of the plaintext and 16 of the tag.
    package internal(set) var ciphertextCount = 0
    /// The decoded key id.
    package internal(set) var keyIDBytes = KeyIDBytes()

    /// How many bytes `dek_wrapped` decodes to: nonce, DEK and tag.
    static let wrappedDEKCount = AESGCM.nonceCount + AESGCM.keyCount + AESGCM.tagCount

    /// Nothing found yet.
    init() {}

    /// Reads a stored value.
    ///
    /// Of several faults the one reported is: not JSON; else the version's; else the algorithm's; else the
    /// first in the value; else the first missing member. So an envelope of a later version is called that,
    /// whatever its members look like.
    ///
    /// - Parameter value: The stored bytes. Offsets in the result count from its start.
    /// - Throws: ``EnvelopeError`` of a `malformed`, `unsupportedVersion` or `unsupportedAlgorithm` category.
    @inline(__always)
    package init(parsing value: UnsafeRawBufferPointer) throws(EnvelopeError) {
        var parser = try EnvelopeParser(value)
        try parser.parse()
        self = parser.result
    }

    /// The key the value names. Allocates for an id longer than 15 bytes.
    package var keyID: KeyID {
        get throws(EnvelopeError) {
            guard let id = keyIDBytes.keyID else { throw EnvelopeError(.invalidKeyID, member: .keyID) }
            return id
        }
    }

    /// Whether the value names this key. Allocates nothing.
    @inline(__always)
    package func hasKeyID(_ id: borrowing KeyIDBytes) -> Bool { keyIDBytes.isEqual(to: id) }
}
