import Envelope

/// Where the service keeps credentials: a text column of envelopes.
protocol CredentialTable: Sendable {
    func value(of id: Int) async throws -> String?
    func write(_ value: String, to id: Int) async throws
    /// UPDATE … SET secret = $new WHERE id = $id AND secret = $old
    func replace(_ old: String, by new: String, in id: Int) async throws
}

/// Credentials: sealed when they are written, opened when they are used.
struct Credentials: Sendable {
    let keyring: Keyring
    let table: any CredentialTable
    /// Off until every instance writes under the new key.
    var renewsOnRead = false

    func store(_ secret: String, as id: Int) async throws {
        try await table.write(keyring.seal(secret), to: id)
    }

    /// Use it and let go of it: nothing wipes it.
    func secret(of id: Int) async throws -> [UInt8]? {
        guard let value = try await table.value(of: id) else { return nil }
        let secret = try open(value)
        if renewsOnRead { try await renew(value, of: id) }
        return secret
    }

    private func open(_ value: String) throws(Failure) -> [UInt8] {
        do {
            return try keyring.open(value)
        } catch {
            switch error.category {
            case .unknownKey: throw .keyIsMissing("\(error)")
            case .malformed, .unsupportedVersion, .unsupportedAlgorithm, .authentication:
                throw .valueIsUnusable("\(error)")
            case .internal: throw .isBroken("\(error)")
            }
        }
    }

    /// Brings a value that was read under the primary key, unless somebody has changed it since.
    private func renew(_ value: String, of id: Int) async throws {
        if try keyring.isCurrent(value) { return }
        try await table.replace(value, by: keyring.rewrap(value), in: id)
    }

    /// The texts hold no byte of the value, so they may be logged.
    enum Failure: Error {
        /// Somebody writes under a key that this instance was not given.
        case keyIsMissing(String)
        /// No retry helps: restore the value, or issue the credential anew.
        case valueIsUnusable(String)
        /// OpenSSL failed.
        case isBroken(String)
    }
}
