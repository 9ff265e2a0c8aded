extension EnvelopeError: CustomStringConvertible {
    /// One sentence for a log or a report: the rule, the member, the key id and the byte offset; never bytes
    /// of the value.
    public var description: String {
        let key = keyID.map { "key \($0)" } ?? "the key it names"
        switch code {
        case .unknownKey: return "under \(key), which the keyring does not hold"
        case .wrappedKeyNotAuthentic:
            return
                "wrapped by another key than \(keyID?.description ?? "the one it names"), or damaged: the DEK does not open"
        case .valueNotAuthentic:
            return "damaged: the DEK opens with \(key), the data's own tag does not match"
        case .unsupportedVersion: return "an envelope of another version than 1\(place)"
        case .unsupportedAlgorithm: return "an envelope with another algorithm than AES-256-GCM\(place)"
        case .verificationFailed: return "the rewritten value did not open again and was not written"
        case .cryptoUnavailable: return "OpenSSL refused an operation that must succeed"
        case .tooLarge: return "too large: more than 2147483647 bytes"
        default: return "no envelope: \(subject) \(rule)\(place)"
        }
    }

    private var subject: String {
        if let member { return "member \"\(member)\"" }
        return "the value"
    }

    private var rule: String {
        switch code {
        case .notJSON: "is not JSON"
        case .notUTF8: "is not valid UTF-8"
        case .notAnObject: "is not a JSON object"
        case .trailingBytes: "is followed by further bytes"
        case .tooDeep: "nests more than 128 deep"
        case .duplicateMember: "stands twice"
        case .missingMember: "is missing"
        case .wrongType: member == .version ? "is not an integer" : "is not a string"
        case .wrongSize: "has the wrong length"
        case .notBase64: "is not base64 with padding"
        case .invalidKeyID: "is not 1 to 64 of A-Z a-z 0-9 . _ -"
        default: "is refused (\(code))"
        }
    }

    private var place: String { offset.map { " (at byte \($0))" } ?? "" }
}
