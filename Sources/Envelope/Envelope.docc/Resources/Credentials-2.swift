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
}
