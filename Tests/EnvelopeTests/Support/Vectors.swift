import Envelope
import Foundation
import Testing

/// The known answers that another implementation made.
struct Vectors: Decodable {
    struct Valid: Decodable, CustomTestStringConvertible {
        let name: String
        let key_id: String
        let text: String
        let plaintext_base64: String
        var testDescription: String { name }
    }

    struct Invalid: Decodable, CustomTestStringConvertible {
        let name: String
        let text: String
        let error: String
        var testDescription: String { name }
    }

    let keys: [String: String]
    let valid: [Valid]
    let invalid: [Invalid]

    static let shared: Vectors = {
        do {
            let url = try #require(Bundle.module.url(forResource: "Fixtures/envelope", withExtension: "json"))
            return try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: url))
        } catch {
            Issue.record("the vectors cannot be read: \(error)")
            return Vectors(keys: [:], valid: [], invalid: [])
        }
    }()

    /// A keyring of the vectors' keys.
    static func keyring(primary: String, previous: [String]) throws -> Keyring {
        func setting(_ id: String) -> String { "\(id):\(shared.keys[id] ?? "")" }
        return try Keyring(
            primarySetting: setting(primary), previousSetting: previous.map(setting).joined(separator: ","))
    }

    /// All three keys, `kek-v3` the primary one.
    static func keyring() throws -> Keyring {
        try keyring(primary: "kek-v3", previous: ["kek-v1", "kek-v2"])
    }
}
