import COpenSSL

/// An Ed25519 public key (RFC 8032), for checking the signatures of reports.
package final class SignaturePublicKey {
    /// The key's 32 bytes.
    package let bytes: [UInt8]
    private let handle: SignatureKeyHandle

    /// Reads SubjectPublicKeyInfo in PEM, as `openssl pkey -pubout` writes it.
    ///
    /// - Throws: ``SignatureError``.
    package init(pem: UnsafeRawBufferPointer) throws(SignatureError) {
        handle = try SignatureKeyHandle.publicKey(pem: pem)
        bytes = try handle.publicBytes()
    }

    /// Whether `signature` is this key's over exactly `message`.
    ///
    /// - Throws: ``SignatureError/Code/cryptoUnavailable``.
    package func isValid(
        _ signature: [UInt8], of message: UnsafeRawBufferPointer
    ) throws(SignatureError) -> Bool {
        // A signature that does not match leaves an error behind, too.
        defer { ERR_clear_error() }
        guard signature.count == SignatureKey.signatureCount else { return false }
        guard let context = EVP_MD_CTX_new() else { throw SignatureError(.cryptoUnavailable) }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, nil, nil, handle.raw) == 1 else {
            throw SignatureError(.cryptoUnavailable)
        }
        return EVP_DigestVerify(
            context, signature, signature.count, message.baseAddress?.assumingMemoryBound(to: UInt8.self),
            message.count) == 1
    }
}
