import COpenSSL
import Glibc

extension EnvelopeCipher {
    /// What sealing makes, in base64. Valid until the cipher's next use.
    struct SealedMembers {
        let wrappedDEK: UnsafeRawBufferPointer
        let nonce: UnsafeRawBufferPointer
        let ciphertext: UnsafeRawBufferPointer
    }

    /// Seals data with a fresh DEK, which stays the DEK in hand until the caller wipes it.
    func sealData(_ data: UnsafeRawBufferPointer) throws(EnvelopeError) -> SealedMembers {
        let sealedCount = data.count + AESGCM.tagCount
        try RandomBytes.fillPrivate(dek.bytes(AESGCM.keyCount))
        let wrappedDEK = try wrapDEK()

        memcpy(dataNonce.start, try nonces.next(), AESGCM.nonceCount)
        let nonce = dataNonceText.bytes(Base64.encodedCount(AESGCM.nonceCount))
        Base64.encode(UnsafeRawBufferPointer(dataNonce.bytes(AESGCM.nonceCount)), into: nonce)

        let sealed = sealed.bytes(sealedCount)
        try dataSealer.setKey(UnsafeRawBufferPointer(dek.bytes(AESGCM.keyCount)))
        defer { dataSealer.forgetKey() }
        try dataSealer.seal(data, nonce: dataNonce.start, to: self.sealed.start)
        let ciphertext = sealedText.bytes(Base64.encodedCount(sealedCount))
        Base64.encode(UnsafeRawBufferPointer(sealed), into: ciphertext)
        return SealedMembers(
            wrappedDEK: wrappedDEK, nonce: UnsafeRawBufferPointer(nonce),
            ciphertext: UnsafeRawBufferPointer(ciphertext))
    }

    /// Seals data under the primary key, with a fresh DEK, into the canonical form: the six members in the
    /// order of the contract, without white space.
    ///
    /// - Parameters:
    ///   - data: The plaintext, which may be empty.
    ///   - output: Gets the envelope appended. Where this throws, it has its former length.
    /// - Throws: ``EnvelopeError/Code/tooLarge`` if the envelope would have more than 2³¹ − 1 bytes;
    ///   ``EnvelopeError/Code/cryptoUnavailable``.
    package func seal(
        _ data: UnsafeRawBufferPointer, appendingTo output: inout [UInt8]
    ) throws(EnvelopeError) {
        // All but the ciphertext is below 512 bytes, with the longest key id.
        guard data.count <= (Int(Int32.max) - 512) / 4 * 3 - AESGCM.tagCount else {
            throw EnvelopeError(.tooLarge)
        }
        defer { dek.wipe(AESGCM.keyCount) }
        let members = try sealData(data)
        output.append(contentsOf: CanonicalPrefix.bytes(for: primary.id))
        output.append(contentsOf: "\"dek_wrapped\":\"".utf8)
        output.append(contentsOf: members.wrappedDEK)
        output.append(contentsOf: "\",\"nonce\":\"".utf8)
        output.append(contentsOf: members.nonce)
        output.append(contentsOf: "\",\"ciphertext\":\"".utf8)
        output.append(contentsOf: members.ciphertext)
        output.append(contentsOf: "\"}".utf8)
    }
}
