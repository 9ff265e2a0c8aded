import Foundation
import Postgres

/// A database of its own for one test, on the private server: the search looks into every schema.
enum TestDatabase {
    static let url = ProcessInfo.processInfo.environment["REENCRYPT_TEST_DATABASE_URL"]
    static let isAvailable = url != nil
    static let skipMessage =
        "needs REENCRYPT_TEST_DATABASE_URL: PostgreSQL is missing, the variable names no server"

    static func settings(database: String? = nil) throws -> ConnectionSettings {
        var url = url
        if let database, let slash = url?.lastIndex(of: "/") {
            url = url.map { $0[...slash] + database }
        }
        return try ConnectionSettings(url: url, applicationName: "reencrypt-secrets VerificationReportTests")
    }

    static func with<R: Sendable>(_ body: @escaping @Sendable (PostgresSession) throws -> R) async throws -> R
    {
        let name = "r_" + String((0..<12).map { _ in "abcdefghijklmnopqrstuvwxyz".randomElement() ?? "a" })
        let maintenance = PostgresConnection(try settings())
        try await maintenance.perform { _ = try $0.query("CREATE DATABASE \(name) TEMPLATE template0") }
        let connection = PostgresConnection(try settings(database: name))
        let result: Result<R, any Error>
        do {
            result = .success(
                try await connection.perform { session in
                    // What the test itself says means what it means to an application.
                    try session.query("SET search_path = public")
                    return try body(session)
                })
        } catch {
            result = .failure(error)
        }
        await connection.close()
        try await maintenance.perform { _ = try $0.query("DROP DATABASE \(name) WITH (FORCE)") }
        await maintenance.close()
        return try result.get()
    }
}

/// An envelope by its shape; no key opens it.
func envelope(_ keyID: String = "kek-v1", dek: String = "dek_wrapped") -> String {
    let wrapped = Data(repeating: 1, count: 60).base64EncodedString()
    let nonce = Data(repeating: 2, count: 12).base64EncodedString()
    let ciphertext = Data(repeating: 3, count: 40).base64EncodedString()
    return
        #"{"version":1,"alg":"AES-256-GCM","key_id":"\#(keyID)","\#(dek)":"\#(wrapped)","nonce":"\#(nonce)","#
        + #""ciphertext":"\#(ciphertext)"}"#
}
