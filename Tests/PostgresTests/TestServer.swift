import Foundation

@testable import Postgres

/// A private PostgreSQL for tests, reached as superuser.
enum TestServer {
    static let url = ProcessInfo.processInfo.environment["REENCRYPT_TEST_DATABASE_URL"]
    static let isAvailable = url != nil
    static let skipMessage = "PostgreSQL is missing: REENCRYPT_TEST_DATABASE_URL names no server"

    static func settings() throws -> ConnectionSettings {
        try ConnectionSettings(url: url, applicationName: "reencrypt-secrets PostgresTests")
    }

    /// Runs `body` with a session of its own, on a connection's thread as in the product.
    static func withSession<R: Sendable>(
        answerTimeout: Duration = .seconds(90), _ body: @escaping @Sendable (PostgresSession) throws -> R
    ) async throws -> R {
        var settings = try settings()
        settings.answerTimeout = answerTimeout
        return try await PostgresConnection(settings).perform(body)
    }
}

extension PostgresSession {
    /// The first cell as a number.
    func number(_ sql: String, _ parameters: QueryParameters = QueryParameters()) throws -> Int? {
        try query(sql, parameters).integer(0, 0)
    }
}
