import ArgumentParser
import BatchQueue
import Catalog
import Logging
import Metrics
import Redis
import Rotation

/// `worker`: takes ranges from the queue until told to stop.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Takes ranges from the queue and re-encrypts them until told to stop.",
        discussion: """
            Any number, on any machine, started before or after the job. A worker proves that its keys, catalog and \
            database are the job's before its first write; where they are not, it ends with exit code 1 and says \
            what differs. SIGTERM: what is in hand is finished or handed back within 10 seconds.
            """)

    @Option(help: "Database connections that re-encrypt side by side.")
    var concurrency = 2

    @Flag(help: "End with the job: exit code 0 if it is complete, else 2.")
    var exitWhenDone = false

    @OptionGroup var listening: ListeningOptions
    @OptionGroup var queue: QueueOptions
    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func validate() throws {
        guard (1...256).contains(concurrency) else {
            throw ValidationError("--concurrency takes 1 to 256 connections.")
        }
    }

    func run() async throws {
        ProcessHardening.apply()
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let environment = try Environment()
            let redis = try queue.connect(environment, as: "reencrypt-secrets worker")
            let settings = try JobSettings(
                environment, catalog, applicationName: "reencrypt-secrets worker", [])
            settings.log(to: logger)
            let tables = settings.file.entries.map(\.name)
            let registry = listening.metrics.keepMetrics(WorkerMetrics.descriptions(tables: tables))
            let work = QueueWork(
                settings: settings, redis: redis, queue: queue.queue, lanes: concurrency,
                exitsWhenDone: exitWhenDone, logger: logger,
                metrics: WorkerMetrics(tables: tables, factory: MetricsSystem.factory))
            let listening = listening
            let (code, signal) = try await StopSignals.run(logger) {
                try await listening.serving(work.health, registry, logger) { try await work.run() }
            }
            if let code {
                if code != .success { throw code }
            } else {
                throw ExitStatus.stopped(by: signal ?? 15)
            }
        }
    }
}
