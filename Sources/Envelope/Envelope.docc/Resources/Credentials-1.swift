import Envelope

/// Where the service keeps credentials: a text column of envelopes.
protocol CredentialTable: Sendable {
    func value(of id: Int) async throws -> String?
    func write(_ value: String, to id: Int) async throws
}
