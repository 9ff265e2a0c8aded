import Envelope

/// The keys of this instance, by the settings that `reencrypt-secrets` reads too.
enum ServiceKeys {
    /// - Parameter environment: such as `ProcessInfo.processInfo.environment`.
    static func keyring(_ environment: [String: String]) throws -> Keyring {
        let primary = setting("SECRETS_ENCRYPTION_KEY", environment)
        let previous = setting("SECRETS_ENCRYPTION_KEY_PREVIOUS", environment)
        return try primary.withUnsafeBytes { primary in
            try previous.withUnsafeBytes { previous in
                try Keyring(primarySetting: primary, previousSetting: previous)
            }
        }
    }

    private static func setting(_ name: String, _ environment: [String: String]) -> SecretBytes {
        let value = environment[name] ?? ""
        return SecretBytes(count: value.utf8.count) { $0.copyBytes(from: value.utf8) }
    }
}
