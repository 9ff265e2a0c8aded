import ArgumentParser
import Envelope
import Catalog
import Logging
import Postgres
import Verification

/// `verify`: what the database alone says.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Counts the records by key id, from the database alone; exit code 0 if none is old.",
        discussion: """
            Depth `labels`: a value counts by the key id it carries; one that does not begin as this tool writes \
            values is parsed. That the keys open the values is not looked at. Nothing in Redis bears on the verdict.
            """)

    enum Depth: String, ExpressibleByArgument, CaseIterable {
        case labels
    }

    @Option(help: "How deep to look: labels.")
    var depth: Depth = .labels

    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        ProcessHardening.apply()
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let environment = try Environment()
            let settings = try JobSettings(environment, catalog, name: "verifier", [])
            settings.log(to: logger)
            let preparation = try await DatabasePreparation.inspect(
                settings.file, settings.database, forWriting: false, keyIDs: settings.keyIDs)
            logger.info("Connected to database", metadata: ["database": "\(preparation.database.name)"])
            preparation.log(to: logger)
            guard preparation.refusals.isEmpty else { throw ExitStatus.couldNotRun }
            let taker = CensusTaker(preparation.tables, keyIDs: settings.keyIDs)
            let connection = PostgresConnection(settings.database)
            let (census, signal) = try await StopSignals.run(logger) {
                try await connection.perform { try taker.take($0) }
            }
            if let signal { throw ExitStatus.stopped(by: signal) }
            let target = settings.keyring.primary.id.description
            let old = census.oldRecords(target: target)
            Console.printResult(CensusOutput.text(before: census, after: nil))
            guard old == 0 else {
                Console.printResult(
                    "Not complete: \(Quantity.grouped(old)) of \(Quantity.grouped(census.totalRecords)) records are not under \(target)\n"
                )
                throw ExitStatus.incomplete
            }
            Console.printResult(
                "Every one of \(Quantity.grouped(census.totalRecords)) records carries the label \(target) (depth: labels)\n"
            )
        }
    }
}
