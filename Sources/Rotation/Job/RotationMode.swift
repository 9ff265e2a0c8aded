/// What happens to an old value.
package enum RotationMode: String, Sendable, Hashable, CaseIterable, Codable {
    /// The DEK is wrapped anew; the data stays as it is.
    case rewrap
    /// The data is sealed anew under a fresh DEK: for a key that somebody else may know.
    case reencrypt
}
