import ArgumentParser
import Envelope
import Logging
import Postgres
import Verification

/// `verify --check-report`: offline, without database and keys, unless it is asked to compare with a database.
///
/// Exit code 0: valid, and the report says proven; 2: valid, and it says something else; 1: not valid.
struct ReportChecking {
    private let path: String
    private let publicKeyPath: String
    private let challenge: String?
    private let comparesWithDatabase: Bool

    /// Nil where no check was asked for.
    init?(_ options: ReportOptions) {
        guard let path = options.checkReport, let publicKeyPath = options.publicKey else { return nil }
        self.path = path
        self.publicKeyPath = publicKeyPath
        challenge = options.challenge
        comparesWithDatabase = options.againstDatabase
    }

    /// Prints what the report says once nothing speaks against believing it.
    func run() async throws {
        let held = try check()
        if comparesWithDatabase, let mismatch = held.mismatch(with: try await liveDatabase()) {
            throw ReportError("the signature is valid, but \(mismatch)")
        }
        Console.printResult(text(of: held))
        guard held.isProven else { throw ExitStatus.incomplete }
    }

    /// - Throws: `ReportError` or `SettingsError` where the report is not to be believed.
    func check() throws -> HeldReport {
        let key = try publicKey()
        let report = try ReportReading.bytes(path, what: "report")
        let signaturePath = VerificationReportWriter.signaturePath(of: path)
        guard ReportReading.exists(signaturePath) else {
            throw ReportError(
                "the report is unsigned: there is no \(signaturePath), so nothing vouches for it")
        }
        let signature = try ReportReading.bytes(signaturePath, what: "signature")
        return try ReportCheck(key: key, challenge: challenge).check(report, signature: signature)
    }

    private func publicKey() throws -> SignaturePublicKey {
        let pem = try ReportReading.bytes(publicKeyPath, what: "public key")
        do {
            return try pem.withUnsafeBytes { try SignaturePublicKey(pem: $0) }
        } catch let error as SignatureError {
            throw SettingsError("the public key \(publicKeyPath): \(error)")
        }
    }

    private func liveDatabase() async throws -> DatabaseFingerprint {
        let settings = try ConnectionSettings(
            url: Environment().string("DATABASE_URL"), applicationName: "reencrypt-secrets check-report")
        let connection = PostgresConnection(settings)
        let live = try await connection.perform { try DatabaseFingerprint.read($0) }
        await connection.close()
        return live
    }

    private func text(of held: HeldReport) -> String {
        let database = held.database
        var text = "The signature is valid"
        text += challenge == nil ? ".\n" : ", and the report answers to the challenge.\n"
        text += "Database \(database.name), system \(database.systemIdentifier ?? "unknown"), "
        text += "timeline \(database.timeline.map(String.init) ?? "unknown"), "
        text += "as of \(database.snapshotTime) (LSN \(database.snapshotLsn))\n"
        text += held.verdict.sentence + "\n"
        text += held.verdict.objections.map { "  - \($0)\n" }.joined()
        text += "What this does not prove:\n"
        return text + held.verdict.doesNotProve.map { "  - \($0)\n" }.joined()
    }
}
