import COpenSSL

/// AES-256-GCM without additional data (NIST SP 800-38D), over an OpenSSL context that keeps its key
/// schedule.
///
/// For one thread at a time. The context holds the key in OpenSSL's own memory, which it wipes when freed and which a
/// program can keep out of dumps: ``SecretMemory/takeOverOpenSSL()``.
final class AESGCM {
    /// The size of a key, in bytes.
    static let keyCount = 32
    /// The size of a nonce, in bytes: 96 bits, for which GCM needs no extra hashing (5.2.1.1).
    static let nonceCount = 12
    /// The size of a tag, in bytes: the full 128 bits.
    static let tagCount = 16

    /// What a context is for: OpenSSL prepares a key for one or the other.
    enum Direction: Int32 {
        case open = 0
        case seal = 1
    }

    private let context: OpaquePointer
    private let direction: Direction

    /// A context without a key.
    ///
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable`` if OpenSSL does not offer the cipher.
    init(_ direction: Direction, cipher name: String = "AES-256-GCM") throws(EnvelopeError) {
        guard let context = EVP_CIPHER_CTX_new() else { throw .openSSLFailed() }
        self.context = context
        self.direction = direction
        // The context keeps a reference of its own.
        let cipher = EVP_CIPHER_fetch(nil, name, nil)
        defer { EVP_CIPHER_free(cipher) }
        guard cipher != nil, EVP_CipherInit_ex(context, cipher, nil, nil, nil, direction.rawValue) == 1 else {
            throw .openSSLFailed()
        }
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    /// Prepares a key of 32 bytes for all that follows.
    ///
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable``.
    func setKey(_ key: UnsafeRawBufferPointer) throws(EnvelopeError) {
        guard key.count == Self.keyCount, let start = key.baseAddress,
            EVP_CipherInit_ex(context, nil, nil, Self.octets(start), nil, -1) == 1
        else { throw .openSSLFailed() }
    }

    /// Puts a key of zeros in the place of the one that was set: a DEK is no longer needed, the context is.
    func forgetKey() {
        var zeros = InlineArray<32, UInt8>(repeating: 0)
        withUnsafeMutableBytes(of: &zeros) { zeros in
            // Where this fails the key stays until the next one is set or the context is freed.
            guard let start = zeros.baseAddress,
                EVP_CipherInit_ex(context, nil, nil, Self.octets(UnsafeRawPointer(start)), nil, -1) == 1
            else { return ERR_clear_error() }
        }
    }

    /// Encrypts `plaintext` to as many bytes and a tag.
    ///
    /// - Parameters:
    ///   - plaintext: What to encrypt; may be empty, may stand at `target`.
    ///   - nonce: 12 bytes that were never used with this key.
    ///   - target: Room for the plaintext's count and 16 bytes.
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable``.
    func seal(
        _ plaintext: UnsafeRawBufferPointer, nonce: UnsafeRawPointer, to target: UnsafeMutableRawPointer
    ) throws(EnvelopeError) {
        try start(nonce)
        try update(plaintext, to: target)
        let end = target + plaintext.count
        var written: Int32 = 0
        guard EVP_CipherFinal_ex(context, Self.octets(end), &written) == 1,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagCount), end) == 1
        else { throw .openSSLFailed() }
    }

    /// Decrypts `sealed`, a ciphertext and its tag.
    ///
    /// OpenSSL hands out plaintext before it checks the tag: where that fails, `target` is wiped.
    ///
    /// - Parameters:
    ///   - sealed: Ciphertext and 16 bytes of tag; may stand at `target`.
    ///   - nonce: 12 bytes.
    ///   - target: Room for the ciphertext without its tag.
    /// - Returns: Whether the tag matched. If not, nothing at `target` is of use.
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable``.
    func open(
        _ sealed: UnsafeRawBufferPointer, nonce: UnsafeRawPointer, to target: UnsafeMutableRawPointer
    ) throws(EnvelopeError) -> Bool {
        let count = sealed.count - Self.tagCount
        guard count >= 0, let tag = sealed.baseAddress.map({ $0 + count }) else { return false }
        try start(nonce)
        try update(UnsafeRawBufferPointer(rebasing: sealed[..<count]), to: target)
        var written: Int32 = 0
        // OpenSSL only reads from the tag, though its parameter does not say so.
        guard
            EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagCount), UnsafeMutableRawPointer(mutating: tag))
                == 1
        else { throw .openSSLFailed() }
        guard EVP_CipherFinal_ex(context, Self.octets(target + count), &written) == 1 else {
            OPENSSL_cleanse(target, count)
            ERR_clear_error()
            return false
        }
        return true
    }

    @inline(__always)
    private func start(_ nonce: UnsafeRawPointer) throws(EnvelopeError) {
        guard EVP_CipherInit_ex(context, nil, nil, nil, Self.octets(nonce), -1) == 1 else {
            throw .openSSLFailed()
        }
    }

    @inline(__always)
    private func update(
        _ input: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer
    ) throws(EnvelopeError) {
        // An update from a null pointer would be taken for additional data.
        guard let source = input.baseAddress, input.count > 0 else { return }
        var written: Int32 = 0
        guard let count = Int32(exactly: input.count),
            EVP_CipherUpdate(context, Self.octets(target), &written, Self.octets(source), count) == 1,
            written == count
        else { throw .openSSLFailed() }
    }

    @inline(__always)
    private static func octets(_ pointer: UnsafeRawPointer) -> UnsafePointer<UInt8> {
        pointer.assumingMemoryBound(to: UInt8.self)
    }

    @inline(__always)
    private static func octets(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutablePointer<UInt8> {
        pointer.assumingMemoryBound(to: UInt8.self)
    }
}
