import ArgumentParser
import Envelope
import Glibc
import Logging
import Verification

/// The options of `verify` about its report.
struct ReportOptions: ParsableArguments {
    @Option(name: .customLong("report"), help: "Write what was found as JSON to this file.")
    var report: String?

    @Option(
        name: .customLong("sign-key"),
        help: "Sign the report with this Ed25519 key (PEM); the signature stands in FILE.sig.")
    var signKey: String?

    @Option(help: "Text that the report repeats, so that it cannot be an older one.")
    var challenge: String?

    @Option(
        name: .customLong("check-report"),
        help: "Look at nothing but this report: is its signature valid, and what does it say?")
    var checkReport: String?

    @Option(name: .customLong("public-key"), help: "The Ed25519 key (PEM) that signed the report.")
    var publicKey: String?

    @Flag(
        name: .customLong("against-database"),
        help: "With --check-report: the report must be about the database that DATABASE_URL names.")
    var againstDatabase = false

    /// Combinations that mean nothing are mistakes of usage (exit code 64).
    func validate() throws {
        if signKey != nil, report == nil { throw ValidationError("--sign-key needs --report FILE") }
        if checkReport != nil, publicKey == nil {
            throw ValidationError("--check-report needs --public-key FILE")
        }
        if checkReport != nil, report != nil {
            throw ValidationError("--check-report checks a report, --report writes one: give one of them")
        }
        if checkReport == nil, publicKey != nil {
            throw ValidationError("--public-key needs --check-report FILE")
        }
        if checkReport == nil, againstDatabase {
            throw ValidationError("--against-database needs --check-report FILE")
        }
        if challenge != nil, report == nil, checkReport == nil {
            throw ValidationError("--challenge needs --report FILE or --check-report FILE")
        }
    }

    /// Opens the report and reads the key before anything else is done; nil where no report was asked for.
    func writer(_ logger: Logger) throws -> VerificationReportWriter? {
        guard let report else { return nil }
        guard let signKey else { return try VerificationReportWriter(path: report, signingWith: nil) }
        let pem = try SecretFile.read(signKey, what: "signing key")
        warnOfReaders(of: signKey, logger)
        let key: SignatureKey
        do throws(SignatureError) {
            key = try SignatureKey(pem: pem)
        } catch {
            throw SettingsError("the signing key \(signKey): \(error)")
        }
        return try VerificationReportWriter(path: report, signingWith: key)
    }

    private func warnOfReaders(of path: String, _ logger: Logger) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & (S_IRGRP | S_IROTH) != 0 else { return }
        logger.warning(
            "The signing key \(path) can be read by others: whoever reads it can sign in your name; chmod 600 \(path)"
        )
    }
}
