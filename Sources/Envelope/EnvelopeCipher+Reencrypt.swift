import COpenSSL

extension EnvelopeCipher {
    /// Brings a value under the primary key with a fresh DEK and fresh nonces, for a key that may be known to
    /// others.
    ///
    /// The values of `key_id`, `dek_wrapped`, `nonce` and `ciphertext` change; unknown members, their order
    /// and white space stay. The result is opened again from its final bytes and the plaintexts are compared
    /// before it is kept (contract, section 1).
    ///
    /// - Parameters:
    ///   - value: The stored bytes.
    ///   - output: Gets the new value appended. Where this throws, it has its former length.
    /// - Throws: ``EnvelopeError``, as for opening the value; or ``EnvelopeError/Code/verificationFailed``,
    ///   ``EnvelopeError/Code/cryptoUnavailable``.
    package func reencrypt(
        _ value: UnsafeRawBufferPointer, appendingTo output: inout [UInt8]
    ) throws(EnvelopeError) -> Outcome {
        let parsed = try ParsedEnvelope(parsing: value)
        guard !parsed.hasKeyID(primary.idBytes) else { return .current }
        defer {
            plaintext.wipe(parsed.ciphertextCount)
            dek.wipe(AESGCM.keyCount)
        }
        _ = try openData(parsed, of: value)
        let count = parsed.ciphertextCount - AESGCM.tagCount
        let members = try sealData(UnsafeRawBufferPointer(plaintext.bytes(count)))
        let length = output.count
        primary.idText.withUnsafeBytes { idText in
            var splice = Splice()
            splice.replace(parsed.keyIDToken, with: idText)
            splice.replace(parsed.wrappedDEK, with: members.wrappedDEK)
            splice.replace(parsed.nonce, with: members.nonce)
            splice.replace(parsed.ciphertext, with: members.ciphertext)
            splice.append(value, to: &output)
        }
        try output.keepAppended(from: length) { (rewritten) throws(EnvelopeError) in
            try verify(reencrypted: rewritten, plaintextCount: count)
        }
        return .rewritten
    }

    /// Proves that a re-encrypted value is under the primary key, holds the DEK in hand and opens to the
    /// plaintext in hand.
    ///
    /// - Throws: ``EnvelopeError/Code/verificationFailed``, whatever is wrong.
    func verify(
        reencrypted: UnsafeRawBufferPointer, plaintextCount: Int
    ) throws(EnvelopeError) {
        let parsed = try verifiedKey(of: reencrypted)
        defer { sealed.wipe(parsed.ciphertextCount) }
        guard parsed.ciphertextCount == plaintextCount + AESGCM.tagCount,
            try openData(parsed, of: reencrypted, with: dek, to: sealed),
            CRYPTO_memcmp(plaintext.start, sealed.start, plaintextCount) == 0
        else { throw EnvelopeError(.verificationFailed, keyID: primary.id) }
    }
}
