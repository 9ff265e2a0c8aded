import COpenSSL

/// OpenSSL's key object, owned. It holds a copy of the key in OpenSSL's own heap, which is cleared when the
/// object goes; a dump of the process's memory shows it before that.
final class SignatureKeyHandle {
    let raw: OpaquePointer

    private init(takingOwnership raw: OpaquePointer) {
        self.raw = raw
    }

    deinit {
        EVP_PKEY_free(raw)
    }

    static func privateKey(pem: UnsafeRawBufferPointer) throws(SignatureError) -> SignatureKeyHandle {
        if contains("ENCRYPTED", in: pem) { throw SignatureError(.passwordProtected) }
        // A callback that gives no password: the default one would ask on the terminal.
        return try read(pem, .notAPrivateKey) { PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in -1 }, nil) }
    }

    static func publicKey(pem: UnsafeRawBufferPointer) throws(SignatureError) -> SignatureKeyHandle {
        try read(pem, .notAPublicKey) { PEM_read_bio_PUBKEY($0, nil, { _, _, _, _ in -1 }, nil) }
    }

    private static func read(
        _ pem: UnsafeRawBufferPointer, _ refusal: SignatureError.Code,
        _ read: (OpaquePointer) -> OpaquePointer?
    ) throws(SignatureError) -> SignatureKeyHandle {
        // What a reader leaves in the queue would be taken for the failure of another library's next call.
        defer { ERR_clear_error() }
        // The source reads the caller's memory: no copy to wipe.
        guard let start = pem.baseAddress, let count = Int32(exactly: pem.count) else {
            throw SignatureError(refusal)
        }
        guard let source = BIO_new_mem_buf(start, count) else { throw SignatureError(.cryptoUnavailable) }
        defer { BIO_free(source) }
        guard let raw = read(source) else { throw SignatureError(refusal) }
        let handle = SignatureKeyHandle(takingOwnership: raw)
        guard EVP_PKEY_is_a(raw, "ED25519") == 1 else { throw SignatureError(.anotherAlgorithm) }
        return handle
    }

    private static func contains(_ word: StaticString, in pem: UnsafeRawBufferPointer) -> Bool {
        let pattern = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard pem.count >= pattern.count else { return false }
        return (0...(pem.count - pattern.count)).contains { offset in
            pem[offset..<(offset + pattern.count)].elementsEqual(pattern)
        }
    }

    /// The 32 bytes of the public key (RFC 8032, 5.1.5).
    func publicBytes() throws(SignatureError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        var count = bytes.count
        guard EVP_PKEY_get_raw_public_key(raw, &bytes, &count) == 1, count == bytes.count else {
            ERR_clear_error()
            throw SignatureError(.cryptoUnavailable)
        }
        return bytes
    }
}
