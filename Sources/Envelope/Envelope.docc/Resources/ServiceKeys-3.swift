import Envelope
import Glibc

/// The keys of this instance, by the settings that `reencrypt-secrets` reads too.
enum ServiceKeys {
    /// - Parameter environment: such as `ProcessInfo.processInfo.environment`.
    static func keyring(_ environment: [String: String]) throws -> Keyring {
        let primary = try setting("SECRETS_ENCRYPTION_KEY", environment)
        let previous = try setting("SECRETS_ENCRYPTION_KEY_PREVIOUS", environment)
        return try primary.withUnsafeBytes { primary in
            try previous.withUnsafeBytes { previous in
                try Keyring(primarySetting: primary, previousSetting: previous)
            }
        }
    }

    /// For the log at the start: ids and check values, which are public.
    static func summary(of keyring: Keyring) -> String {
        ([keyring.primary] + keyring.previous).map { "\($0.id) \($0.checkValue)" }.joined(separator: ", ")
    }

    private static func setting(_ name: String, _ environment: [String: String]) throws -> SecretBytes {
        if let path = environment[name + "_FILE"] { return try contents(of: path) }
        let value = environment[name] ?? ""
        return SecretBytes(count: value.utf8.count) { $0.copyBytes(from: value.utf8) }
    }

    /// Straight into memory that is wiped, and no dump holds.
    private static func contents(of path: String) throws -> SecretBytes {
        guard let file = fopen(path, "r") else { throw UnreadableSetting(path: path) }
        defer { fclose(file) }
        setvbuf(file, nil, _IONBF, 0)
        var count = 0
        let read = SecretBytes(count: 4_096) { count = fread($0.baseAddress, 1, $0.count, file) }
        guard count < read.count, ferror(file) == 0 else { throw UnreadableSetting(path: path) }
        return read.withUnsafeBytes { read in
            SecretBytes(count: count) {
                $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: read[..<count]))
            }
        }
    }

    struct UnreadableSetting: Error {
        let path: String
    }
}
