/// A key-encryption key (KEK): 32 secret bytes for AES-256-GCM and the public id they go by.
public struct KeyEncryptionKey: Sendable {
    /// The key's size in bytes.
    public static let byteCount = 32

    /// The name under which envelopes refer to the key.
    public let id: KeyID
    /// The key's public fingerprint, by which two parties compare key bytes.
    public let checkValue: KeyCheckValue
    package let bytes: SecretBytes

    /// The key of these bytes.
    ///
    /// - Throws: ``KeyringError/Code/wrongKeySize`` unless there are 32;
    ///   ``KeyringError/Code/cryptoUnavailable`` if OpenSSL cannot compute the check value.
    public init(id: KeyID, bytes: SecretBytes) throws(KeyringError) {
        guard bytes.count == Self.byteCount else { throw KeyringError(.wrongKeySize, keyID: id) }
        self.id = id
        self.bytes = bytes
        do { checkValue = try KeyCheckValue(of: bytes) } catch {
            throw KeyringError(.cryptoUnavailable, keyID: id)
        }
    }

    /// A new key of random bytes.
    ///
    /// - Throws: ``KeyringError/Code/cryptoUnavailable`` if OpenSSL has no random bytes to give.
    public static func generate(id: KeyID) throws(KeyringError) -> KeyEncryptionKey {
        let bytes: SecretBytes
        do { bytes = try SecretBytes(randomCount: byteCount) } catch {
            throw KeyringError(.cryptoUnavailable, keyID: id)
        }
        return try KeyEncryptionKey(id: id, bytes: bytes)
    }

    /// Lends `body` the key in the form of the settings, `<key_id>:<base64>`, and wipes that text afterwards.
    ///
    /// - Throws: What `body` throws.
    package func withBase64<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let label = Array("\(id):".utf8)
        let text = SecretBytes(count: label.count + Base64.encodedCount(bytes.count)) { text in
            text.copyBytes(from: label)
            bytes.withUnsafeBytes {
                Base64.encode($0, into: UnsafeMutableRawBufferPointer(rebasing: text[label.count...]))
            }
        }
        return try text.withUnsafeBytes(body)
    }

    /// HMAC-SHA-256 of `message` under this key, 32 bytes.
    ///
    /// `message` must begin with words that no other use of the key begins with, as the check value's does.
    ///
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable``.
    package func authenticationCode(for message: [UInt8]) throws(EnvelopeError) -> [UInt8] {
        try bytes.withUnsafeBytes { (key) throws(EnvelopeError) in try Digest.hmacSHA256(key: key, message) }
    }
}

extension KeyEncryptionKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The id alone.
    public var description: String { id.description }
    /// The id alone.
    public var debugDescription: String { id.description }
    /// The id alone.
    public var customMirror: Mirror { Mirror(self, children: ["id": id.description]) }
}
