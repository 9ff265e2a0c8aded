extension KeyringError: CustomStringConvertible {
    /// One sentence with the key's id, its place, the rule and the next step; never any part of a value.
    public var description: String { "\(subject) \(rule)" }

    private var subject: String { Self.name(keyID, position) ?? "the key" }

    private var other: String { Self.name(otherKeyID, otherPosition) ?? "another key" }

    private static func name(_ id: KeyID?, _ position: Position?) -> String? {
        switch (id, position) {
        case (let id?, let position?): "key \(id) (\(position))"
        case (let id?, nil): "key \(id)"
        case (nil, .primary?): "the primary key"
        case (nil, let position?): "the key \(position)"
        case (nil, nil): nil
        }
    }

    private var rule: String {
        switch code {
        case .missingPrimary:
            "is not set: set SECRETS_ENCRYPTION_KEY, or a file named by SECRETS_ENCRYPTION_KEY_FILE, to "
                + "<key_id>:<base64 of 32 bytes>; 'keygen' makes one"
        case .emptyElement: "is empty: remove the comma that has no key on one side"
        case .missingSeparator: "has no ':' between id and key: write <key_id>:<base64 of 32 bytes>"
        case .malformedKeyID:
            "has an id that is not 1 to 64 of A-Z a-z 0-9 . _ -: write <key_id>:<base64 of 32 bytes>, "
                + "without quotes"
        case .notBase64:
            "is not base64 of the standard alphabet with padding: copy it whole from where it was made"
        case .wrongKeySize:
            "does not have 32 bytes: AES-256 takes exactly 32; copy it whole, or make a new one with 'keygen'"
        case .duplicateKeyID:
            "has the id of \(other): leave out one of them, or give the newer key an id of its own"
        case .sameKeyTwice:
            "is the same key as \(other): a rotation between them changes nothing; "
                + "make a new one with 'keygen'"
        case .keyIDTooLong: "has no next version within 64 characters: choose a shorter id"
        case .cryptoUnavailable: "could not be made: OpenSSL refused an operation that must succeed"
        default: "is refused (\(code))"
        }
    }
}
