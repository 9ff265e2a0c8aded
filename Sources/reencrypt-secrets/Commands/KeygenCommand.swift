import ArgumentParser
import Envelope
import Glibc

/// `keygen`: a new key on standard output, its check value on standard error.
struct KeygenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keygen",
        abstract: "Prints a new key with the next version.",
        discussion: """
            The key goes to standard output as <key id>:<base64>, ready for SECRETS_ENCRYPTION_KEY; its check \
            value, which is public, to standard error. Without --after, the version follows the newest configured \
            key, or is kek-v1 where none is configured.
            """)

    @Option(help: "The key id that the new one follows: kek-v1 gives kek-v2.")
    var after: String?

    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        ProcessHardening.apply()
        try await CommandFailure.reporting(to: logging.makeLogger()) {
            let key = try KeyEncryptionKey.generate(id: try nextID())
            try key.withBase64 { text in
                var line = Array(text)
                line.append(UInt8(ascii: "\n"))
                defer {
                    line.withUnsafeMutableBytes { bytes in
                        if let start = bytes.baseAddress { explicit_bzero(start, bytes.count) }
                    }
                }
                let written = line.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
                guard written == line.count else { throw SettingsError("the key could not be written") }
            }
            Console.shared.writeLine("Check value of \(key.id): \(key.checkValue)")
        }
    }

    private func nextID() throws -> KeyID {
        if let after {
            do throws(KeyringError) {
                return try KeyID(after).nextVersion()
            } catch {
                throw SettingsError(
                    "--after takes a key id such as kek-v1: 1 to 64 letters, digits, dots, underscores and hyphens, "
                        + "and so must be the id after it")
            }
        }
        let environment = try Environment()
        let isConfigured = try environment.withSecret(KeySettings.primary) { $0 != nil }
        guard isConfigured else { return try KeyID("kek-v1") }
        return try KeySettings.keyring(environment).primary.id.nextVersion()
    }
}
