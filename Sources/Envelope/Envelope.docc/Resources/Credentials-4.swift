import Envelope

/// Where the service keeps credentials: a text column of envelopes.
protocol CredentialTable: Sendable {
    func value(of id: Int) async throws -> String?
    func write(_ value: String, to id: Int) async throws
}

/// Credentials: sealed when they are written, opened when they are used.
struct Credentials: Sendable {
    let keyring: Keyring
    let table: any CredentialTable

    func store(_ secret: String, as id: Int) async throws {
        try await table.write(keyring.seal(secret), to: id)
    }

    /// Use it and let go of it: nothing wipes it.
    func secret(of id: Int) async throws -> [UInt8]? {
        guard let value = try await table.value(of: id) else { return nil }
        return try open(value)
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
