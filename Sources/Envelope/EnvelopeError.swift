/// Why a value was refused, or an operation on it failed.
///
/// Neither the error nor its ``description`` holds bytes of the value, of a key or of a plaintext: both may
/// be logged and stored. A decryption that failed is one opaque case for the wrapped DEK and one for the
/// data, without a hint at what was wrong (NIST SP 800-38D, 7.2: an authentication failure reveals nothing
/// but itself).
public struct EnvelopeError: Error, Hashable, Sendable {
    /// The rule that was broken.
    public var code: Code
    /// The member it was broken by, where there is one.
    public var member: EnvelopeMember?
    /// The key the value names, where that is known and well formed.
    public var keyID: KeyID?
    /// Where in the value it was noticed, in bytes from its start.
    public var offset: Int?

    /// An error of `code`, with what is known of its place.
    public init(_ code: Code, member: EnvelopeMember? = nil, keyID: KeyID? = nil, offset: Int? = nil) {
        self.code = code
        self.member = member
        self.keyID = keyID
        self.offset = offset
    }

    /// What kind of failure this is: what an operator does about it.
    public var category: Category { code.category }
}

extension EnvelopeError {
    /// Classes of failure. The raw values are words for reports.
    public enum Category: String, Hashable, Sendable, CaseIterable {
        /// The value is no envelope of this format.
        case malformed
        /// The value names a key that the keyring does not hold.
        case unknownKey = "unknown key"
        /// An envelope of another version.
        case unsupportedVersion = "unsupported version"
        /// An envelope with another algorithm.
        case unsupportedAlgorithm = "unsupported algorithm"
        /// A tag did not match: another key, or damage.
        case authentication
        /// The fault is on this side: the result did not open again, or OpenSSL failed.
        case `internal`
    }
}
