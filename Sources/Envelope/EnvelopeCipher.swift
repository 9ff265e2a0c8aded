import COpenSSL
import Glibc

/// Opens, seals, rewraps and re-encrypts envelopes with the keys of one keyring.
///
/// It keeps OpenSSL's contexts with their key schedules, a pool of nonces and its working memory, so that a
/// value costs neither an allocation nor a key set-up. DEKs and plaintexts are wiped from that memory after
/// each value. One thread at a time may use it: a worker has one for each lane. It must not be used on both
/// sides of a fork.
package final class EnvelopeCipher {
    /// What became of a value.
    package enum Outcome: Hashable, Sendable {
        /// A new value was appended to the output.
        case rewritten
        /// The value is under the primary key already; nothing was appended.
        case current
    }

    /// The keys it works with.
    package let keyring: Keyring

    let primary: CipherKey
    private let previous: [CipherKey]
    private let wrapper: AESGCM
    let dataOpener: AESGCM
    let dataSealer: AESGCM
    let nonces: NoncePool

    /// The DEK of the value in hand.
    let dek = ScratchBuffer(capacity: AESGCM.keyCount)
    /// The DEK that verification unwrapped from the value just made.
    let openedDEK = ScratchBuffer(capacity: AESGCM.keyCount)
    /// A wrapped DEK: nonce, ciphertext, tag.
    let wrapped = ScratchBuffer(capacity: ParsedEnvelope.wrappedDEKCount)
    /// The same in base64.
    let wrappedText = ScratchBuffer(capacity: Base64.encodedCount(ParsedEnvelope.wrappedDEKCount))
    /// The nonce of the data.
    let dataNonce = ScratchBuffer(capacity: AESGCM.nonceCount)
    /// The same in base64.
    let dataNonceText = ScratchBuffer(capacity: Base64.encodedCount(AESGCM.nonceCount))
    /// A plaintext, decrypted in place.
    let plaintext = ScratchBuffer(capacity: 1024)
    /// Data sealed, or opened again for comparison.
    let sealed = ScratchBuffer(capacity: 1024)
    /// Sealed data in base64.
    let sealedText = ScratchBuffer(capacity: 2048)
    /// Base64 that stood with escapes, without them.
    private let unescaped = ScratchBuffer(capacity: 128)

    /// - Parameters:
    ///   - keyring: The keys.
    ///   - noncesAtOnce: How many nonces to draw at a time; the default is 4 KiB.
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable``.
    package init(keyring: Keyring, noncesAtOnce: Int = 341) throws(EnvelopeError) {
        self.keyring = keyring
        primary = try CipherKey(keyring.primary)
        var previous: [CipherKey] = []
        for key in keyring.previous { previous.append(try CipherKey(key)) }
        self.previous = previous
        wrapper = try AESGCM(.seal)
        dataOpener = try AESGCM(.open)
        dataSealer = try AESGCM(.seal)
        nonces = NoncePool(capacity: noncesAtOnce)
        try keyring.primary.bytes.withUnsafeBytes { (key) throws(EnvelopeError) in try wrapper.setKey(key) }
    }

    /// The key a value names.
    @inline(__always)
    func key(of parsed: borrowing ParsedEnvelope) throws(EnvelopeError) -> CipherKey {
        for key in previous where parsed.hasKeyID(key.idBytes) { return key }
        if parsed.hasKeyID(primary.idBytes) { return primary }
        throw EnvelopeError(.unknownKey, member: .keyID, keyID: try parsed.keyID)
    }

    /// Opens a value's DEK with a key.
    @inline(__always)
    func unwrap(
        _ parsed: borrowing ParsedEnvelope, of value: UnsafeRawBufferPointer, with key: CipherKey,
        to target: ScratchBuffer
    ) throws(EnvelopeError) {
        Base64.decode(
            text(of: parsed.wrappedDEK, in: value), into: wrapped.bytes(ParsedEnvelope.wrappedDEKCount))
        let sealedDEK = UnsafeRawBufferPointer(
            start: wrapped.start + AESGCM.nonceCount, count: AESGCM.keyCount + AESGCM.tagCount)
        guard try key.unwrapper.open(sealedDEK, nonce: wrapped.start, to: target.start) else {
            throw EnvelopeError(.wrappedKeyNotAuthentic, member: .wrappedDEK, keyID: key.id)
        }
    }

    /// Wraps the DEK in hand with the primary key under a fresh nonce.
    ///
    /// - Returns: The wrapped DEK in base64, valid until the next call.
    @inline(__always)
    func wrapDEK() throws(EnvelopeError) -> UnsafeRawBufferPointer {
        memcpy(wrapped.start, try nonces.next(), AESGCM.nonceCount)
        try wrapper.seal(
            UnsafeRawBufferPointer(start: dek.start, count: AESGCM.keyCount), nonce: wrapped.start,
            to: wrapped.start + AESGCM.nonceCount)
        let text = wrappedText.bytes(Base64.encodedCount(ParsedEnvelope.wrappedDEKCount))
        Base64.encode(
            UnsafeRawBufferPointer(start: wrapped.start, count: ParsedEnvelope.wrappedDEKCount), into: text)
        return UnsafeRawBufferPointer(text)
    }

    /// The base64 that a string means. Valid until the next call.
    @inline(__always)
    func text(of token: JSONStringToken, in value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        token.hasEscapes
            ? unescape(token, in: value)
            : UnsafeRawBufferPointer(rebasing: value[token.range])
    }

    private func unescape(
        _ token: JSONStringToken, in value: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        guard let start = value.baseAddress else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let target = unescaped.bytes(token.count)
        var count = 0
        var bytes = JSONStringBytes(token, in: start)
        while let byte = bytes.next(), count < target.count {
            target[count] = byte
            count += 1
        }
        return UnsafeRawBufferPointer(rebasing: target[..<count])
    }
}

/// A key with the contexts that unwrapping needs.
final class CipherKey {
    let id: KeyID
    let idBytes: KeyIDBytes
    /// The id as it is written into a value.
    let idText: SecretBytes
    let unwrapper: AESGCM

    init(_ key: KeyEncryptionKey) throws(EnvelopeError) {
        id = key.id
        idBytes = KeyIDBytes(key.id)
        let text = Array(key.id.description.utf8)
        idText = SecretBytes(count: text.count) { $0.copyBytes(from: text) }
        unwrapper = try AESGCM(.open)
        try key.bytes.withUnsafeBytes { (bytes) throws(EnvelopeError) in try unwrapper.setKey(bytes) }
    }
}
