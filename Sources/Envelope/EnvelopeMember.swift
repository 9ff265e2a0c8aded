/// One of the six members that make an envelope, by its name in the JSON object.
public enum EnvelopeMember: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// The format's version, the integer 1.
    case version
    /// The algorithm, `AES-256-GCM`.
    case algorithm = "alg"
    /// The key-encryption key that wrapped the DEK.
    case keyID = "key_id"
    /// The DEK under that key: nonce, ciphertext and tag, 60 bytes in base64.
    case wrappedDEK = "dek_wrapped"
    /// The nonce of the data, 12 bytes in base64.
    case nonce
    /// The data under the DEK and its 16-byte tag, in base64.
    case ciphertext

    /// The member's name as it stands in the JSON object.
    public var description: String { rawValue }
}

extension EnvelopeMember {
    /// A set of members is a bit each: it costs the parser no allocation.
    var bit: UInt8 {
        switch self {
        case .version: 1
        case .algorithm: 2
        case .keyID: 4
        case .wrappedDEK: 8
        case .nonce: 16
        case .ciphertext: 32
        }
    }

    /// The set of all six.
    static let allBits: UInt8 = 63

    /// The member of a decoded name, or `nil` for a name that is none of the six.
    ///
    /// The six names differ in length, so one comparison settles it.
    @inline(__always)
    init?(name: UnsafeRawBufferPointer) {
        switch name.count {
        case 3: self.init(.algorithm, ifEqual: name, to: "alg")
        case 5: self.init(.nonce, ifEqual: name, to: "nonce")
        case 6: self.init(.keyID, ifEqual: name, to: "key_id")
        case 7: self.init(.version, ifEqual: name, to: "version")
        case 10: self.init(.ciphertext, ifEqual: name, to: "ciphertext")
        case 11: self.init(.wrappedDEK, ifEqual: name, to: "dek_wrapped")
        default: return nil
        }
    }

    @inline(__always)
    private init?(_ member: EnvelopeMember, ifEqual name: UnsafeRawBufferPointer, to literal: StaticString) {
        guard bytesEqual(name, literal) else { return nil }
        self = member
    }
}
