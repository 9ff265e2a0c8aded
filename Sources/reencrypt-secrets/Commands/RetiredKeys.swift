import Envelope

/// The ids of retired keys that `verify` knows by its settings.
struct RetiredKeys {
    /// In order, each once.
    let ids: [String]
    /// Those that `--retired` names and that are no previous key's.
    let onlyNamed: [String]

    /// The previous keys are retired whatever `--retired` names beside them.
    init(named: [String], keyring: Keyring) throws {
        for id in named {
            do throws(KeyringError) {
                if try KeyID(id) == keyring.primary.id { throw KeyringError(.malformedKeyID) }
            } catch {
                throw SettingsError(
                    "--retired takes ids of former keys: 1 to 64 letters, digits, dots, underscores and hyphens, "
                        + "and not the primary key's, \(keyring.primary.id)")
            }
        }
        let previous = Set(keyring.previous.map(\.id.description))
        ids = previous.union(named).sorted()
        onlyNamed = Set(named).subtracting(previous).sorted()
    }
}
