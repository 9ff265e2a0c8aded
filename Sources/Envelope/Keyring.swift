/// The keys that values may stand under: the primary one, under which everything new is written, and former
/// ones, which are only read with.
///
/// No two keys share an id, and no key has two ids.
public struct Keyring: Sendable {
    /// The key new values are written under.
    public let primary: KeyEncryptionKey
    /// Former keys, in the order given.
    public let previous: [KeyEncryptionKey]

    /// A keyring of these keys.
    ///
    /// - Throws: ``KeyringError/Code/duplicateKeyID`` for two keys of one id,
    ///   ``KeyringError/Code/sameKeyTwice`` for one key under two ids (compared in constant time).
    public init(primary: KeyEncryptionKey, previous: [KeyEncryptionKey] = []) throws(KeyringError) {
        let keys = [primary] + previous
        for (index, key) in keys.enumerated() {
            for (earlierIndex, earlier) in keys[..<index].enumerated() {
                let code: KeyringError.Code
                if key.id == earlier.id {
                    code = .duplicateKeyID
                } else if key.bytes == earlier.bytes {
                    code = .sameKeyTwice
                } else {
                    continue
                }
                throw KeyringError(
                    code, keyID: key.id, position: Self.position(index), otherKeyID: earlier.id,
                    otherPosition: Self.position(earlierIndex))
            }
        }
        self.primary = primary
        self.previous = previous
    }

    private static func position(_ index: Int) -> KeyringError.Position {
        index == 0 ? .primary : .previous(index)
    }

    /// All keys, the primary one first.
    package var keys: [KeyEncryptionKey] { [primary] + previous }

    /// The ids of all keys, the primary one's first.
    public var ids: [KeyID] { keys.map(\.id) }

    /// The key of an id, or `nil` where the keyring holds none.
    public subscript(id: KeyID) -> KeyEncryptionKey? {
        primary.id == id ? primary : previous.first { $0.id == id }
    }
}

extension Keyring: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The ids, the primary one's first.
    public var description: String { "Keyring(\(ids.map(\.description).joined(separator: ", ")))" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// The ids alone.
    public var customMirror: Mirror { Mirror(self, children: ["ids": ids.map(\.description)]) }
}
