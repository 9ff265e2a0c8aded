import COpenSSL

extension EnvelopeCipher {
    /// Where a value stands, as far as rotation is concerned.
    package enum Standing: Hashable, Sendable {
        /// Labelled with the primary key.
        case current
        /// Under this other key, which opens its DEK.
        case old(KeyID)
    }

    /// What ``rewrap(_:appendingTo:)`` would do with a value, without doing it: the dry run.
    ///
    /// The DEK of an old value is really unwrapped; of a current one the label alone is read, as in a rewrap.
    ///
    /// - Throws: ``EnvelopeError``, the same as a rewrap of the value.
    package func examine(_ value: UnsafeRawBufferPointer) throws(EnvelopeError) -> Standing {
        let parsed = try ParsedEnvelope(parsing: value)
        guard !parsed.hasKeyID(primary.idBytes) else { return .current }
        return .old(try unwrapDEK(of: value, parsed))
    }

    /// Proves that the key a value names opens its DEK, whichever key that is.
    ///
    /// - Returns: That key's id.
    /// - Throws: ``EnvelopeError``: no envelope, an unknown key, or
    ///   ``EnvelopeError/Code/wrappedKeyNotAuthentic``.
    @discardableResult
    package func unwrapDEK(of value: UnsafeRawBufferPointer) throws(EnvelopeError) -> KeyID {
        try unwrapDEK(of: value, try ParsedEnvelope(parsing: value))
    }

    private func unwrapDEK(
        of value: UnsafeRawBufferPointer, _ parsed: borrowing ParsedEnvelope
    ) throws(EnvelopeError) -> KeyID {
        defer { dek.wipe(AESGCM.keyCount) }
        let key = try key(of: parsed)
        try unwrap(parsed, of: value, with: key, to: dek)
        return key.id
    }

    /// Proves that a value opens whole, the data's own tag included, and keeps nothing of it.
    ///
    /// - Returns: The id of the key it is under.
    /// - Throws: ``EnvelopeError``.
    @discardableResult
    package func authenticate(_ value: UnsafeRawBufferPointer) throws(EnvelopeError) -> KeyID {
        let parsed = try ParsedEnvelope(parsing: value)
        defer { plaintext.wipe(parsed.ciphertextCount) }
        return try openData(parsed, of: value).id
    }

    /// Opens a value.
    ///
    /// - Parameters:
    ///   - value: The stored bytes.
    ///   - output: Gets the plaintext in place of what it held; empty where this throws. It is the caller's to
    ///     wipe.
    /// - Throws: ``EnvelopeError``.
    package func open(
        _ value: UnsafeRawBufferPointer, into output: inout [UInt8]
    ) throws(EnvelopeError) {
        output.removeAll(keepingCapacity: true)
        let parsed = try ParsedEnvelope(parsing: value)
        defer { plaintext.wipe(parsed.ciphertextCount) }
        _ = try openData(parsed, of: value)
        output.append(contentsOf: plaintext.bytes(parsed.ciphertextCount - AESGCM.tagCount))
    }

    /// Opens a value into ``plaintext``, which the caller wipes.
    ///
    /// - Returns: The key it is under.
    func openData(
        _ parsed: borrowing ParsedEnvelope, of value: UnsafeRawBufferPointer
    ) throws(EnvelopeError) -> CipherKey {
        defer { dek.wipe(AESGCM.keyCount) }
        let key = try key(of: parsed)
        try unwrap(parsed, of: value, with: key, to: dek)
        guard try openData(parsed, of: value, with: dek, to: plaintext) else {
            throw EnvelopeError(.valueNotAuthentic, member: .ciphertext, keyID: key.id)
        }
        return key
    }

    /// Opens a value's data with a DEK into a buffer, which the caller wipes.
    ///
    /// - Returns: Whether the tag matched.
    func openData(
        _ parsed: borrowing ParsedEnvelope, of value: UnsafeRawBufferPointer, with dek: ScratchBuffer,
        to target: ScratchBuffer
    ) throws(EnvelopeError) -> Bool {
        Base64.decode(text(of: parsed.nonce, in: value), into: dataNonce.bytes(AESGCM.nonceCount))
        let data = target.bytes(parsed.ciphertextCount)
        Base64.decode(text(of: parsed.ciphertext, in: value), into: data)
        try dataOpener.setKey(UnsafeRawBufferPointer(start: dek.start, count: AESGCM.keyCount))
        defer { dataOpener.forgetKey() }
        return try dataOpener.open(UnsafeRawBufferPointer(data), nonce: dataNonce.start, to: target.start)
    }
}
