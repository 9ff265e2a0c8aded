import Envelope

/// The keyring that the settings describe.
enum KeySettings {
    static let primary = "SECRETS_ENCRYPTION_KEY"
    static let previous = "SECRETS_ENCRYPTION_KEY_PREVIOUS"

    /// Reads the keys.
    static func keyring(_ environment: Environment) throws -> Keyring {
        try environment.withSecret(primary) { primaryValue in
            guard let primaryValue else {
                throw SettingsError(
                    "no primary key: set \(primary) or \(primary)_FILE to <key id>:<base64 of 32 bytes>; "
                        + "`reencrypt-secrets keygen` makes one")
            }
            return try environment.withSecret(previous) { previousValue in
                try Keyring(primarySetting: primaryValue, previousSetting: previousValue)
            }
        }
    }
}
