import ArgumentParser
import Catalog
import FoundationEssentials
import Glibc
import Logging
import Postgres
import Verification

/// `catalog discover`: columns that look encrypted and are in no catalog. A listing: exit 0 whatever it finds.
struct CatalogDiscoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover",
        abstract: "Lists columns that look encrypted and are in no catalog, with the YAML to add.",
        discussion: """
            By content: values of a sample are envelopes. By name: *_encrypted. A catalog need not exist yet. \
            It is a listing: the exit code is 0 whatever is found; `verify` judges.
            """)

    @Option(
        name: .customLong("catalog"),
        help: "The catalog file (default: REENCRYPT_CATALOG, or encrypted-tables.yaml).")
    var path: String?

    @Flag(help: "One JSON object, for programs.")
    var json = false

    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let environment = try Environment()
            let file = try catalogFile(environment, logger)
            let settings = try ConnectionSettings(
                url: environment.string("DATABASE_URL"), applicationName: "reencrypt-secrets catalog")
            let connection = PostgresConnection(settings)
            let (coverage, keys, problems) = try await connection.perform { session in
                let server = try Preflight.server(session, forWriting: false)
                guard !server.contains(where: { $0.severity == .refuse }) else {
                    return (nil as Coverage?, [CatalogProposal.Table: TableKey](), server)
                }
                let introspection = try Introspection.resolve(file?.entries ?? [], session: session)
                let coverage = try CoverageScan(introspection.tables, ignored: file?.ignored ?? [])
                    .run(session)
                var keys: [CatalogProposal.Table: TableKey] = [:]
                for finding in coverage.findings {
                    keys[CatalogProposal.Table(finding)] = try TableKey.best(
                        ofTable: finding.table, in: finding.schema, session)
                }
                return (coverage, keys, server + introspection.problems)
            }
            await connection.close()
            for problem in problems {
                logger.log(level: problem.severity == .refuse ? .error : .warning, "\(problem)")
            }
            guard let coverage else { throw ExitStatus.couldNotRun }
            Console.printResult(
                json ? try DiscoveryOutput.json(coverage) : DiscoveryOutput.text(coverage, keys))
        }
    }

    /// Nil where no catalog is there yet, as long as none was asked for.
    private func catalogFile(_ environment: Environment, _ logger: Logger) throws -> CatalogFile? {
        let named = try path ?? environment.string("REENCRYPT_CATALOG")
        let path = named ?? "encrypted-tables.yaml"
        if named == nil, access(path, F_OK) != 0 {
            logger.notice("There is no catalog yet; every column that looks encrypted is listed")
            return nil
        }
        return try CatalogFile.load(path: path)
    }
}
