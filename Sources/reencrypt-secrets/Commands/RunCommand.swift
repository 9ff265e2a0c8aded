import ArgumentParser
import BatchQueue
import Catalog
import Envelope
import Logging
import Postgres
import Rotation

/// `run`: a whole rotation in one process.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Rotates everything in this process; needs the database alone.",
        discussion: """
            Re-encrypts every record of the catalog's tables that is not under SECRETS_ENCRYPTION_KEY, then counts \
            again. Stop it at any time with Ctrl-C: the ranges in hand are finished. Starting again goes on.
            """)

    @Flag(name: [.customShort("n"), .customLong("dry-run")], help: "Open everything, change nothing.")
    var dryRun = false

    @Flag(help: "In a dry run, log every record rather than the first 100.")
    var verbose = false

    @Option(
        name: [.customShort("b"), .customLong("batch-size")],
        help: "Rows a transaction (default: starts at 100 and adapts).")
    var batchSize: Int?

    @Option(
        help:
            "Database connections that re-encrypt side by side (default: polite 1, balanced 2, maintenance 4)."
    )
    var concurrency: Int?

    @Option(help: "rewrap: only the data keys; reencrypt: the data too, after a key was compromised.")
    var mode: RotationMode = .rewrap

    @OptionGroup var orders: OrderOptions
    @OptionGroup var patience: PatienceOptions

    @Flag(help: "Leave records under key ids that are not configured as failed records, rather than refuse.")
    var allowUnknownKeys = false

    @Option(
        help: ArgumentHelp("Refuse other key bytes than those with this check value.", valueName: "id:hex"))
    var expectCheckValue: [ExpectedCheckValue] = []

    @Option(help: "Write a JSON report to this file.")
    var report: String?

    @OptionGroup(title: "Room for the application") var pace: PaceOptions
    @OptionGroup var metrics: MetricsOptions
    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func validate() throws {
        if let batchSize, !(1...100_000).contains(batchSize) {
            throw ValidationError("--batch-size takes 1 to 100000 rows; 1000 is fastest, more gains nothing.")
        }
        if let concurrency, !(1...256).contains(concurrency) {
            throw ValidationError("--concurrency takes 1 to 256 connections.")
        }
        if dryRun, metrics.metricsListen != nil {
            throw ValidationError(
                "--metrics-listen shows a rotation; a dry run has none to show. Leave one of both out.")
        }
    }

    func run() async throws {
        ProcessHardening.apply()
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let reportFile = try report.map { try ReportFile(path: $0) }
            let settings: JobSettings
            do {
                settings = try JobSettings(
                    Environment(), catalog, applicationName: "reencrypt-secrets", expectCheckValue)
            } catch {
                try RotationRun.refuse(error, mode: mode, dryRun: dryRun, reportFile)
                throw error
            }
            settings.log(to: logger)
            let job = RotationRun(
                keyring: settings.keyring, mode: mode, settings: settings.database, scope: settings.scope,
                report: reportFile, logger: logger)
            let expected = Set(expectCheckValue.map(\.keyID))
            if dryRun {
                try await job.dryRun(
                    settings.file, expected, allowsUnknownKeys: allowUnknownKeys,
                    definitionPatience: patience.definitions, logsAll: verbose)
            } else {
                try await job.rotate(
                    settings.file, expected, lanes: concurrency ?? pace.profile.lanes,
                    Coordinator.Options(
                        batchSize: batchSize, allowsUnknownKeys: allowUnknownKeys, order: orders.order,
                        profile: pace.profile, limits: pace.limits, vacuumPercent: pace.vacuumPercent,
                        definitionPatience: patience.definitions),
                    metrics)
            }
        }
    }
}

extension RotationMode: ExpressibleByArgument {}
