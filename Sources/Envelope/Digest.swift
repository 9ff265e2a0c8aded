import COpenSSL

/// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) over bytes in memory, for the modules that may not reach
/// OpenSSL.
package enum Digest {
    /// The size of either result, in bytes.
    package static let count = 32

    /// SHA-256 of `message`.
    ///
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable``.
    package static func sha256(_ message: [UInt8]) throws(EnvelopeError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: count)
        guard EVP_Digest(message, message.count, &digest, nil, EVP_sha256(), nil) == 1 else {
            throw .openSSLFailed()
        }
        return digest
    }

    /// HMAC-SHA-256 of `message` under `key`.
    ///
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable``.
    package static func hmacSHA256(
        key: UnsafeRawBufferPointer, _ message: [UInt8]
    ) throws(EnvelopeError) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: count)
        // Without a pointer HMAC takes the key of its previous use, so an empty key still needs one.
        let empty: StaticString = ""
        let start = key.baseAddress ?? UnsafeRawPointer(empty.utf8Start)
        guard let length = Int32(exactly: key.count),
            HMAC(EVP_sha256(), start, length, message, message.count, &code, nil) != nil
        else { throw .openSSLFailed() }
        return code
    }

    /// Whether two digests are the same, in a time that depends on their count alone.
    package static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }
}
