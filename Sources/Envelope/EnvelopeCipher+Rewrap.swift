import COpenSSL

extension EnvelopeCipher {
    /// Brings a value under the primary key: the same DEK, wrapped anew.
    ///
    /// Only the values of `key_id` and `dek_wrapped` change; every other byte stays. No plaintext is in
    /// memory, and the data's own tag is not checked. The result is parsed again from its final bytes and its
    /// DEK opened with the primary key before it is kept (contract, section 1).
    ///
    /// - Parameters:
    ///   - value: The stored bytes.
    ///   - output: Gets the new value appended. Where this throws, it has its former length.
    /// - Throws: ``EnvelopeError``: the value is no envelope, its key is unknown or does not open it; or
    ///   ``EnvelopeError/Code/verificationFailed``, ``EnvelopeError/Code/cryptoUnavailable``.
    package func rewrap(
        _ value: UnsafeRawBufferPointer, appendingTo output: inout [UInt8]
    ) throws(EnvelopeError) -> Outcome {
        let parsed = try ParsedEnvelope(parsing: value)
        guard !parsed.hasKeyID(primary.idBytes) else { return .current }
        defer { dek.wipe(AESGCM.keyCount) }
        try unwrap(parsed, of: value, with: try key(of: parsed), to: dek)
        let wrappedText = try wrapDEK()
        let length = output.count
        primary.idText.withUnsafeBytes { idText in
            var splice = Splice()
            splice.replace(parsed.keyIDToken, with: idText)
            splice.replace(parsed.wrappedDEK, with: wrappedText)
            splice.append(value, to: &output)
        }
        try output.keepAppended(from: length) { (rewritten) throws(EnvelopeError) in
            try verify(rewritten: rewritten, of: value, parsed)
        }
        return .rewritten
    }

    /// Proves that a rewrapped value is under the primary key, holds the DEK in hand, and holds the data of
    /// the original: then it opens to the same plaintext as the original does.
    ///
    /// - Throws: ``EnvelopeError/Code/verificationFailed``, whatever is wrong.
    func verify(
        rewritten: UnsafeRawBufferPointer, of value: UnsafeRawBufferPointer,
        _ original: borrowing ParsedEnvelope
    ) throws(EnvelopeError) {
        let parsed = try verifiedKey(of: rewritten)
        guard
            bytesEqual(
                UnsafeRawBufferPointer(rebasing: rewritten[parsed.nonce.range]),
                UnsafeRawBufferPointer(rebasing: value[original.nonce.range])),
            bytesEqual(
                UnsafeRawBufferPointer(rebasing: rewritten[parsed.ciphertext.range]),
                UnsafeRawBufferPointer(rebasing: value[original.ciphertext.range]))
        else { throw EnvelopeError(.verificationFailed, keyID: primary.id) }
    }

    /// Parses a value that was just made, and proves that it is under the primary key and holds the DEK in
    /// hand.
    @inline(__always)
    func verifiedKey(of rewritten: UnsafeRawBufferPointer) throws(EnvelopeError) -> ParsedEnvelope {
        defer { openedDEK.wipe(AESGCM.keyCount) }
        do {
            let parsed = try ParsedEnvelope(parsing: rewritten)
            if parsed.hasKeyID(primary.idBytes) {
                try unwrap(parsed, of: rewritten, with: primary, to: openedDEK)
                if CRYPTO_memcmp(dek.start, openedDEK.start, AESGCM.keyCount) == 0 { return parsed }
            }
        } catch {
            // What the value we made is refused for would read as a fault of the stored one.
        }
        throw EnvelopeError(.verificationFailed, keyID: primary.id)
    }
}
