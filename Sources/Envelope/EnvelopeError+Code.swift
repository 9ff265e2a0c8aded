extension EnvelopeError {
    /// The rule that was broken. Codes may be added; compare with `==` and keep a default.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Rule: String {
            case notJSON, notUTF8, notAnObject, trailingBytes, tooDeep, tooLarge
            case duplicateMember, missingMember, wrongType, wrongSize, notBase64, invalidKeyID
            case unsupportedVersion, unsupportedAlgorithm, unknownKey
            case wrappedKeyNotAuthentic, valueNotAuthentic
            case verificationFailed, cryptoUnavailable
        }

        private let rule: Rule

        private init(_ rule: Rule) { self.rule = rule }

        /// The code's name, a stable word for reports and metrics.
        public var description: String { rule.rawValue }

        /// The bytes are no JSON text (RFC 8259): empty and truncated values and a byte order mark included.
        public static let notJSON = Code(.notJSON)
        /// A string is not valid UTF-8 (RFC 8259, 8.1).
        public static let notUTF8 = Code(.notUTF8)
        /// JSON, but the outermost value is no object.
        public static let notAnObject = Code(.notAnObject)
        /// Bytes other than white space follow the object.
        public static let trailingBytes = Code(.trailingBytes)
        /// Objects and arrays nest more than 128 deep (RFC 8259, 9 allows such a limit).
        public static let tooDeep = Code(.tooDeep)
        /// The value, or the envelope that sealing would make, is longer than 2³¹ − 1 bytes.
        public static let tooLarge = Code(.tooLarge)
        /// A member of the six stands twice.
        public static let duplicateMember = Code(.duplicateMember)
        /// A member of the six is not there.
        public static let missingMember = Code(.missingMember)
        /// A member has the wrong JSON type; a version such as `1.0` or `"1"` included.
        public static let wrongType = Code(.wrongType)
        /// A member's base64 does not decode to the number of bytes it must have.
        public static let wrongSize = Code(.wrongSize)
        /// A member is not base64 of the standard alphabet with padding (RFC 4648, 4).
        public static let notBase64 = Code(.notBase64)
        /// `key_id` is not 1 to 64 of `A-Z a-z 0-9 . _ -`.
        public static let invalidKeyID = Code(.invalidKeyID)
        /// The version is an integer other than 1.
        public static let unsupportedVersion = Code(.unsupportedVersion)
        /// The algorithm is a string other than `AES-256-GCM`.
        public static let unsupportedAlgorithm = Code(.unsupportedAlgorithm)
        /// The keyring holds no key of that id.
        public static let unknownKey = Code(.unknownKey)
        /// The DEK does not open with the key the value names.
        public static let wrappedKeyNotAuthentic = Code(.wrappedKeyNotAuthentic)
        /// The DEK opened, the data did not.
        public static let valueNotAuthentic = Code(.valueNotAuthentic)
        /// A value that was made did not open again and was thrown away; nothing was changed.
        public static let verificationFailed = Code(.verificationFailed)
        /// OpenSSL refused an operation that must succeed, such as drawing random bytes.
        public static let cryptoUnavailable = Code(.cryptoUnavailable)

        /// What kind of failure this is.
        public var category: Category {
            switch rule {
            case .notJSON, .notUTF8, .notAnObject, .trailingBytes, .tooDeep, .tooLarge, .duplicateMember,
                .missingMember, .wrongType, .wrongSize, .notBase64, .invalidKeyID:
                .malformed
            case .unsupportedVersion: .unsupportedVersion
            case .unsupportedAlgorithm: .unsupportedAlgorithm
            case .unknownKey: .unknownKey
            case .wrappedKeyNotAuthentic, .valueNotAuthentic: .authentication
            case .verificationFailed, .cryptoUnavailable: .internal
            }
        }
    }
}
