import ArgumentParser
import Catalog
import Envelope
import Postgres

/// `catalog`: the catalog file against the database.
struct CatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog", abstract: "Compares the catalog with the database.",
        subcommands: [CatalogCheckCommand.self, CatalogDiscoverCommand.self])
}

/// `catalog check`: exit 0 where a rotation could start.
struct CatalogCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Checks every table and column of the catalog against the database.")

    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    /// The configured keys' ids, where there are any: a longer one may not fit a `varchar(n)`.
    private func keyIDs(_ environment: Environment) throws -> [String] {
        guard try environment.withSecret(KeySettings.primary, { $0 != nil }) else { return [] }
        return try KeySettings.keyring(environment).ids.map(\.description)
    }

    func run() async throws {
        ProcessHardening.apply()
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let environment = try Environment()
            let file = try catalog.load(environment)
            let settings = try ConnectionSettings(
                url: environment.string("DATABASE_URL"), applicationName: "reencrypt-secrets catalog")
            let preparation = try await DatabasePreparation.inspect(
                file, settings, forWriting: true, keyIDs: try keyIDs(environment))
            Console.printResult(
                CatalogCheck.text(
                    names: file.entries.map(\.name), tables: preparation.tables,
                    problems: preparation.problems))
            guard preparation.refusals.isEmpty else { throw ExitStatus.couldNotRun }
        }
    }
}
