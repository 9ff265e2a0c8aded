import ArgumentParser
import BatchQueue
import Catalog
import Envelope
import Logging
import Metrics
import Redis
import Rotation

/// `coordinator`: launches a job on the queue, or takes up the unfinished one, and stays until it ends.
struct CoordinatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coordinator",
        abstract: "Launches a job on the queue, or takes up the unfinished one, and stays until it ends.",
        discussion: """
            One coordinator leads a queue; others wait and take over where it is lost. Its exit code is the job's: \
            0 complete, 2 incomplete. Stopped by a signal, it leaves the job on the queue for the next one.
            """)

    @Option(
        name: [.customShort("b"), .customLong("batch-size")],
        help: "Rows a transaction (default: starts at 100 and adapts).")
    var batchSize: Int?

    @Option(help: "rewrap: only the data keys; reencrypt: the data too, after a key was compromised.")
    var mode: RotationMode = .rewrap

    @OptionGroup var orders: OrderOptions
    @OptionGroup var patience: PatienceOptions

    @Flag(help: "Leave records under key ids that are not configured as failed records, rather than refuse.")
    var allowUnknownKeys = false

    @Option(
        help: ArgumentHelp("Refuse other key bytes than those with this check value.", valueName: "id:hex"))
    var expectCheckValue: [ExpectedCheckValue] = []

    @OptionGroup(title: "Room for the application") var pace: PaceOptions
    @OptionGroup var listening: ListeningOptions
    @OptionGroup var queue: QueueOptions
    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func validate() throws {
        if let batchSize, !(1...100_000).contains(batchSize) {
            throw ValidationError("--batch-size takes 1 to 100000 rows; 1000 is fastest, more gains nothing.")
        }
    }

    func run() async throws {
        ProcessHardening.apply()
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let environment = try Environment()
            let redis = try queue.connect(environment, as: "reencrypt-secrets coordinator")
            let settings = try JobSettings(
                environment, catalog, applicationName: "reencrypt-secrets coordinator", expectCheckValue)
            settings.log(to: logger)
            let tables = settings.file.entries.map(\.name)
            let registry = listening.metrics.keepMetrics(CoordinatorMetrics.descriptions(tables: tables))
            let coordination = Coordination(
                settings: settings, redis: redis, queue: queue.queue, mode: mode,
                options: Coordinator.Options(
                    batchSize: batchSize, allowsUnknownKeys: allowUnknownKeys, order: orders.order,
                    profile: pace.profile, limits: pace.limits, vacuumPercent: pace.vacuumPercent,
                    definitionPatience: patience.definitions),
                expectedKeyIDs: Set(expectCheckValue.map(\.keyID)), logger: logger,
                metrics: CoordinatorMetrics(tables: tables, factory: MetricsSystem.factory))
            let listening = listening
            let (code, signal) = try await StopSignals.run(logger) {
                try await listening.serving(coordination.health, registry, logger) {
                    try await coordination.run()
                }
            }
            if let code {
                if code != .success { throw code }
            } else {
                logger.warning("Stopped; the job stays on the queue, start a coordinator to go on")
                throw ExitStatus.stopped(by: signal ?? 15)
            }
        }
    }
}
