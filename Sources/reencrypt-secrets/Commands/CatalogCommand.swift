import ArgumentParser
import Catalog
import Postgres

/// `catalog`: the catalog file against the database.
struct CatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog", abstract: "Compares the catalog with the database.",
        subcommands: [CatalogCheckCommand.self])
}

/// `catalog check`: exit 0 where a rotation could start.
struct CatalogCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Checks every table and column of the catalog against the database.")

    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        ProcessHardening.apply()
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let environment = try Environment()
            let file = try catalog.load(environment)
            let settings = try ConnectionSettings(
                url: environment.string("DATABASE_URL"), applicationName: "reencrypt-secrets catalog")
            let preparation = try await DatabasePreparation.inspect(
                file, settings, forWriting: true, keyIDs: [])
            Console.printResult(
                CatalogCheck.text(
                    names: file.entries.map(\.name), tables: preparation.tables,
                    problems: preparation.problems))
            guard preparation.refusals.isEmpty else { throw ExitStatus.couldNotRun }
        }
    }
}
