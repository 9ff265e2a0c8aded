extension Keyring {
    /// Reads the two settings that hold keys (contract, section 2).
    ///
    /// ASCII white space around a value, such as a file's last newline, is passed over. Key bytes are decoded
    /// straight into memory that is wiped on release; wiping the settings' own bytes is the caller's part.
    ///
    /// - Parameters:
    ///   - primarySetting: `<key_id>:<base64 of 32 bytes>`.
    ///   - previousSetting: None (`nil`, empty or white space), one or several in the same form, separated by
    ///     commas.
    /// - Throws: ``KeyringError``, naming id, place, rule and next step, never any part of a value.
    public init(
        primarySetting: UnsafeRawBufferPointer, previousSetting: UnsafeRawBufferPointer?
    ) throws(KeyringError) {
        let primaryValue = Self.trimmed(primarySetting)
        guard !primaryValue.isEmpty else { throw KeyringError(.missingPrimary, position: .primary) }
        let primary = try Self.key(primaryValue, at: .primary)

        var previous: [KeyEncryptionKey] = []
        if let previousSetting, !Self.trimmed(previousSetting).isEmpty {
            let elements = previousSetting.split(
                separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            for (index, element) in elements.enumerated() {
                let position = KeyringError.Position.previous(index + 1)
                let value = Self.trimmed(UnsafeRawBufferPointer(rebasing: element))
                guard !value.isEmpty else { throw KeyringError(.emptyElement, position: position) }
                previous.append(try Self.key(value, at: position))
            }
        }
        try self.init(primary: primary, previous: previous)
    }

    /// The same from strings, for applications that read their environment.
    ///
    /// ```swift
    /// let keyring = try Keyring(
    ///     primarySetting: environment["SECRETS_ENCRYPTION_KEY"] ?? "",
    ///     previousSetting: environment["SECRETS_ENCRYPTION_KEY_PREVIOUS"])
    /// ```
    ///
    /// - Throws: ``KeyringError``, naming id, place, rule and next step, never any part of a value.
    public init(primarySetting: String, previousSetting: String? = nil) throws(KeyringError) {
        var primary = primarySetting
        var previous = previousSetting ?? ""
        let result = primary.withUTF8 { primary in
            previous.withUTF8 { previous in
                Result { () throws(KeyringError) in
                    try Keyring(
                        primarySetting: UnsafeRawBufferPointer(primary),
                        previousSetting: UnsafeRawBufferPointer(previous))
                }
            }
        }
        self = try result.get()
    }

    private static func key(
        _ value: UnsafeRawBufferPointer, at position: KeyringError.Position
    ) throws(KeyringError) -> KeyEncryptionKey {
        guard let colon = value.firstIndex(of: UInt8(ascii: ":")) else {
            throw KeyringError(.missingSeparator, position: position)
        }
        guard let id = KeyID(bytes: value[..<colon]) else {
            throw KeyringError(.malformedKeyID, position: position)
        }
        let text = UnsafeRawBufferPointer(rebasing: value[(colon + 1)...])
        // A key of 32 bytes in unpadded base64url or in hexadecimal is a well-formed id: where id and key may
        // have changed places, the id is not named.
        let shownID = [43, 64].contains(colon) ? nil : id
        guard let count = Base64.decodedCount(of: text) else {
            throw KeyringError(.notBase64, keyID: shownID, position: position)
        }
        guard count == KeyEncryptionKey.byteCount else {
            throw KeyringError(.wrongKeySize, keyID: shownID, position: position)
        }
        let bytes = SecretBytes(count: count) { Base64.decode(text, into: $0) }
        return try KeyEncryptionKey(id: id, bytes: bytes)
    }

    private static func trimmed(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let first = value.firstIndex(where: { !isSpace($0) }),
            let last = value.lastIndex(where: { !isSpace($0) })
        else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: value[first...last])
    }
}
