import COpenSSL

/// An Ed25519 private key (RFC 8032), for signing reports.
package final class SignatureKey {
    /// The size of a signature, in bytes.
    package static let signatureCount = 64

    /// What checks this key's signatures.
    package let publicKeyBytes: [UInt8]
    private let handle: SignatureKeyHandle

    /// Reads PKCS#8 in PEM, as `openssl genpkey -algorithm ED25519` writes it.
    ///
    /// - Throws: ``SignatureError``.
    package init(pem: SecretBytes) throws(SignatureError) {
        let handle = try pem.withUnsafeBytes { (bytes) throws(SignatureError) in
            try SignatureKeyHandle.privateKey(pem: bytes)
        }
        publicKeyBytes = try handle.publicBytes()
        self.handle = handle
    }

    /// Signs `message`.
    ///
    /// Ed25519 reads the message twice; it must not change meanwhile.
    ///
    /// - Throws: ``SignatureError/Code/cryptoUnavailable``.
    package func sign(_ message: UnsafeRawBufferPointer) throws(SignatureError) -> [UInt8] {
        defer { ERR_clear_error() }
        var signature = [UInt8](repeating: 0, count: Self.signatureCount)
        var count = signature.count
        guard let context = EVP_MD_CTX_new() else { throw SignatureError(.cryptoUnavailable) }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit(context, nil, nil, nil, handle.raw) == 1,
            EVP_DigestSign(
                context, &signature, &count, message.baseAddress?.assumingMemoryBound(to: UInt8.self),
                message.count) == 1,
            count == signature.count
        else { throw SignatureError(.cryptoUnavailable) }
        return signature
    }
}
