import ArgumentParser
import Envelope

/// `ID:HEX`: the check value that the applications' key has.
struct ExpectedCheckValue: ExpressibleByArgument {
    let keyID: String
    let checkValue: KeyCheckValue

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"),
            let value = KeyCheckValue(hex: argument[argument.index(after: colon)...])
        else { return nil }
        keyID = String(argument[..<colon])
        checkValue = value
    }

    /// - Throws: where the keyring holds other bytes under the id, or nothing.
    func check(_ keyring: Keyring) throws(SettingsError) {
        guard let key = keyring.keys.first(where: { $0.id.description == keyID }) else {
            throw SettingsError("--expect-check-value names \(keyID), which is not among the configured keys")
        }
        guard key.checkValue == checkValue else {
            throw SettingsError(
                "the key configured as \(keyID) has the check value \(key.checkValue), not the expected \(checkValue): "
                    + "its bytes are not the applications'. Nothing has been changed")
        }
    }
}
