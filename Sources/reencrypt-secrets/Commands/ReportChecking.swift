import ArgumentParser
import Catalog
import Envelope
import Logging
import Postgres
import Verification

/// `verify --check-report`: offline, without database and keys, unless it is asked to compare with a database.
///
/// Exit code 0: valid, and the report is a proof; 2: valid, and it says something else, or of a part; 1: not valid.
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

    private func liveDatabase() async throws -> DatabaseIdentity {
        let settings = try ConnectionSettings(
            url: Environment().string("DATABASE_URL"), applicationName: "reencrypt-secrets check-report")
        let connection = PostgresConnection(settings)
        let live = try await connection.perform { try DatabaseIdentity.read($0) }
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
        text += scope(of: held)
        text += held.verdict.sentence + "\n"
        text += held.verdict.objections.map { "  - \($0)\n" }.joined()
        text += "What this does not prove:\n"
        return text + held.verdict.doesNotProve.map { "  - \($0)\n" }.joined()
    }

    private func scope(of held: HeldReport) -> String {
        guard let scope = held.scope else {
            return
                "The report does not say what was looked at, as those of version 0.1.0 did not: it is taken for no proof, verify again.\n"
        }
        let extent = scope.isWholeCatalog ? "the whole catalog" : "a part of the catalog"
        var text = "Looked at: \(extent) (\(scope.tables.joined(separator: ", "))) at depth \(scope.depth)\n"
        if !scope.tablesLeftOut.isEmpty {
            text += "Not looked at: \(scope.tablesLeftOut.joined(separator: ", "))\n"
        }
        for column in scope.ignored {
            let name = QualifiedColumn(schema: column.schema, table: column.table, column: column.column)
            let keys = column.keyIds.isEmpty ? "" : " under \(column.keyIds.joined(separator: ", "))"
            text += "Ignored: \(IgnoredColumn(name).place) (\(column.finding ?? "nothing found")\(keys))\n"
        }
        return text
    }
}
