import ArgumentParser
import Glibc

/// The command line's root.
@main
struct ReencryptSecrets: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reencrypt-secrets",
        abstract: "Rotates the key that encrypts secrets in a live PostgreSQL database.",
        discussion: """
            Keys come by environment: SECRETS_ENCRYPTION_KEY is the new key, SECRETS_ENCRYPTION_KEY_PREVIOUS \
            holds the old ones, each as <key id>:<base64 of 32 bytes>; …_FILE variants name files. DATABASE_URL, \
            or libpq's PG* variables, name the database. A .env file in the working directory is read below them.

            Exit codes: 0 done; 1 could not run; 2 incomplete, run it again; 64 usage; 130/143 stopped.
            """,
        version: ToolVersion.current,
        subcommands: [
            RunCommand.self, CoordinatorCommand.self, WorkerCommand.self, VerifyCommand.self,
            StatusCommand.self,
            PauseCommand.self, ResumeCommand.self, CancelCommand.self, FailuresCommand.self,
            KeygenCommand.self,
            CatalogCommand.self, FenceCommand.self, DashboardCommand.self,
        ],
        defaultSubcommand: RunCommand.self)

    /// Without `/proc` the arguments cannot be read, and a program whose default is to rotate must not guess.
    static func main() async {
        ProcessHardening.begin()
        guard !CommandLine.arguments.isEmpty else {
            Console.shared.writeLine("error: the command line cannot be read; is /proc mounted?")
            Glibc.exit(1)
        }
        await main(nil)
    }
}
