/// What applications do with stored values.
///
/// ```swift
/// let keyring = try Keyring(
///     primarySetting: environment["SECRETS_ENCRYPTION_KEY"] ?? "",
///     previousSetting: environment["SECRETS_ENCRYPTION_KEY_PREVIOUS"])
///
/// let stored = try keyring.seal("sk-live-1234".utf8)     // always under the primary key
/// let secret = try keyring.open(stored)                  // under whichever key the value names
/// if try !keyring.isCurrent(stored) {
///     let renewed = try keyring.rewrap(stored)           // store this instead
/// }
/// ```
///
/// For `text`, `json` and `jsonb` columns the same methods take and give a `String`. Each call sets up its
/// ciphers anew, which takes some microseconds, and may be made from any thread.
extension Keyring {
    /// Seals a plaintext under the primary key, with a fresh DEK and fresh nonces.
    ///
    /// - Parameter plaintext: The secret; may be empty.
    /// - Returns: The envelope, UTF-8, its members in the order of the contract and without white space.
    /// - Throws: ``EnvelopeError/Code/tooLarge`` if the envelope would have more than 2³¹ − 1 bytes;
    ///   ``EnvelopeError/Code/cryptoUnavailable``.
    public func seal(_ plaintext: some Collection<UInt8>) throws(EnvelopeError) -> [UInt8] {
        let result = plaintext.withContiguousStorageIfAvailable { bytes in
            Result { () throws(EnvelopeError) in try seal(bytes: UnsafeRawBufferPointer(bytes)) }
        }
        if let result { return try result.get() }
        let copy = SecretBytes(count: plaintext.count) { $0.copyBytes(from: plaintext) }
        return try copy.withUnsafeBytes { (bytes) throws(EnvelopeError) in try seal(bytes: bytes) }
    }

    private func seal(bytes: UnsafeRawBufferPointer) throws(EnvelopeError) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(400 + Base64.encodedCount(min(bytes.count, 1 << 20)))
        try cipher().seal(bytes, appendingTo: &output)
        return output
    }

    /// Opens a value with the key it names.
    ///
    /// - Returns: The plaintext. Nothing wipes it: keep it no longer than needed.
    /// - Throws: ``EnvelopeError``: the value is no envelope, names an unknown key, or does not open.
    public func open(_ value: [UInt8]) throws(EnvelopeError) -> [UInt8] {
        var plaintext: [UInt8] = []
        let cipher = try cipher()
        try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try cipher.open(UnsafeRawBufferPointer(bytes), into: &plaintext)
        }
        return plaintext
    }

    /// Brings a value under the primary key without opening its data: the DEK stays and is wrapped anew.
    ///
    /// Only the values of `key_id` and `dek_wrapped` change. The data's own tag is not checked.
    ///
    /// - Returns: The new value; the same where it is under the primary key already.
    /// - Throws: ``EnvelopeError``: the value is no envelope, names an unknown key, or that key does not open
    ///   its DEK.
    public func rewrap(_ value: [UInt8]) throws(EnvelopeError) -> [UInt8] {
        try rewritten(value) { (cipher, bytes, output) throws(EnvelopeError) in
            try cipher.rewrap(bytes, appendingTo: &output)
        }
    }

    /// Brings a value under the primary key with a fresh DEK and fresh nonces, for a key that may be known to
    /// others.
    ///
    /// Unknown members, the order and white space stay.
    ///
    /// - Returns: The new value; the same where it is under the primary key already.
    /// - Throws: ``EnvelopeError``, as for opening the value.
    public func reencrypt(_ value: [UInt8]) throws(EnvelopeError) -> [UInt8] {
        try rewritten(value) { (cipher, bytes, output) throws(EnvelopeError) in
            try cipher.reencrypt(bytes, appendingTo: &output)
        }
    }

    /// Whether a value names the primary key. Nothing is decrypted.
    ///
    /// - Throws: ``EnvelopeError`` of a `malformed`, `unsupportedVersion` or `unsupportedAlgorithm` category.
    public func isCurrent(_ value: [UInt8]) throws(EnvelopeError) -> Bool {
        try Self.keyID(of: value) == primary.id
    }

    /// The key a value names, whether or not a keyring holds it. Nothing is decrypted.
    ///
    /// - Throws: ``EnvelopeError`` of a `malformed`, `unsupportedVersion` or `unsupportedAlgorithm` category.
    public static func keyID(of value: [UInt8]) throws(EnvelopeError) -> KeyID {
        try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try ParsedEnvelope(parsing: UnsafeRawBufferPointer(bytes)).keyID
        }
    }

    private func rewritten(
        _ value: [UInt8],
        by rewrite: (EnvelopeCipher, UnsafeRawBufferPointer, inout [UInt8]) throws(EnvelopeError) ->
            EnvelopeCipher.Outcome
    ) throws(EnvelopeError) -> [UInt8] {
        var output: [UInt8] = []
        let cipher = try cipher()
        let outcome = try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try rewrite(cipher, UnsafeRawBufferPointer(bytes), &output)
        }
        return outcome == .current ? value : output
    }

    /// A cipher for one call, which needs two nonces at most.
    private func cipher() throws(EnvelopeError) -> EnvelopeCipher {
        try EnvelopeCipher(keyring: self, noncesAtOnce: 2)
    }
}
