/// A setting that is missing or wrong. The message names the setting and the next step, never a secret.
struct SettingsError: Error, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
