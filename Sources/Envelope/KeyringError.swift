/// Why keys were refused.
///
/// It names the key's id (where that is well formed), which setting it stands in, the rule and what to do,
/// never any part of the value (contract, section 2). Where an id could itself be a key in the wrong place,
/// it is left out too.
public struct KeyringError: Error, Hashable, Sendable {
    /// The rule that was broken.
    public var code: Code
    /// The key, by its id.
    public var keyID: KeyID?
    /// Where the key stands.
    public var position: Position?
    /// The second key, where two are in conflict.
    public var otherKeyID: KeyID?
    /// Where the second key stands.
    public var otherPosition: Position?

    /// An error of `code`, with what is known of its place.
    public init(
        _ code: Code, keyID: KeyID? = nil, position: Position? = nil, otherKeyID: KeyID? = nil,
        otherPosition: Position? = nil
    ) {
        self.code = code
        self.keyID = keyID
        self.position = position
        self.otherKeyID = otherKeyID
        self.otherPosition = otherPosition
    }

    /// Where a key stands in the settings.
    public enum Position: Hashable, Sendable, CustomStringConvertible {
        /// The primary key.
        case primary
        /// A previous key, by its number in the list, from 1.
        case previous(Int)

        /// "primary" or "previous #2".
        public var description: String {
            switch self {
            case .primary: "primary"
            case .previous(let number): "previous #\(number)"
            }
        }
    }

    /// The rule that was broken. Codes may be added; compare with `==` and keep a default.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name, a stable word for reports.
        public let description: String

        /// There is no primary key.
        public static let missingPrimary = Code(description: "missingPrimary")
        /// Nothing stands between two commas, or before or after one.
        public static let emptyElement = Code(description: "emptyElement")
        /// No colon parts id and key.
        public static let missingSeparator = Code(description: "missingSeparator")
        /// The id is not 1 to 64 of `A-Z a-z 0-9 . _ -`.
        public static let malformedKeyID = Code(description: "malformedKeyID")
        /// The key is not base64 of the standard alphabet with padding.
        public static let notBase64 = Code(description: "notBase64")
        /// The key is not 32 bytes.
        public static let wrongKeySize = Code(description: "wrongKeySize")
        /// Two keys go by one id.
        public static let duplicateKeyID = Code(description: "duplicateKeyID")
        /// One key goes by two ids.
        public static let sameKeyTwice = Code(description: "sameKeyTwice")
        /// The id after this one would be longer than 64 bytes.
        public static let keyIDTooLong = Code(description: "keyIDTooLong")
        /// OpenSSL refused an operation that must succeed.
        public static let cryptoUnavailable = Code(description: "cryptoUnavailable")
    }
}
