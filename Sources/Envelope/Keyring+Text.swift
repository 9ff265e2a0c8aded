/// The same for columns that hold text.
extension Keyring {
    /// Seals the UTF-8 of a string; see ``seal(_:)-(Collection<UInt8>)``.
    ///
    /// - Returns: The envelope as text.
    /// - Throws: ``EnvelopeError``.
    public func seal(_ plaintext: String) throws(EnvelopeError) -> String {
        Self.text(try seal(plaintext.utf8))
    }

    /// Opens a value that was stored as text; see ``open(_:)-([UInt8])``.
    ///
    /// - Returns: The plaintext's bytes. `String(validating: bytes, as: UTF8.self)` makes a string of those
    ///   that were one.
    /// - Throws: ``EnvelopeError``.
    public func open(_ value: String) throws(EnvelopeError) -> [UInt8] {
        try open(Array(value.utf8))
    }

    /// Brings a value that was stored as text under the primary key; see ``rewrap(_:)-([UInt8])``.
    ///
    /// - Throws: ``EnvelopeError``.
    public func rewrap(_ value: String) throws(EnvelopeError) -> String {
        Self.text(try rewrap(Array(value.utf8)))
    }

    /// Brings a value that was stored as text under the primary key with a fresh DEK; see
    /// ``reencrypt(_:)-([UInt8])``.
    ///
    /// - Throws: ``EnvelopeError``.
    public func reencrypt(_ value: String) throws(EnvelopeError) -> String {
        Self.text(try reencrypt(Array(value.utf8)))
    }

    /// Whether a value that was stored as text names the primary key.
    ///
    /// - Throws: ``EnvelopeError``.
    public func isCurrent(_ value: String) throws(EnvelopeError) -> Bool {
        try isCurrent(Array(value.utf8))
    }

    /// The key that a value which was stored as text names.
    ///
    /// - Throws: ``EnvelopeError``.
    public static func keyID(of value: String) throws(EnvelopeError) -> KeyID {
        try keyID(of: Array(value.utf8))
    }

    /// Parsing has shown these bytes to be UTF-8, or they were made from ASCII: nothing is lost.
    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
