import ArgumentParser
import BatchQueue
import FoundationEssentials

/// `failures`: failed records with their reasons; `failures retry`: hands them out again.
struct FailuresCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failures", abstract: "Lists failed records, or hands them out again.",
        subcommands: [FailuresListCommand.self, FailuresRetryCommand.self],
        defaultSubcommand: FailuresListCommand.self)
}

/// `failures list`.
struct FailuresListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the failed records of the job (the first 100,000 are kept).")

    @Flag(help: "One JSON object a line.")
    var json = false

    @OptionGroup var queue: QueueOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let redis = try queue.connect(try Environment(), as: "reencrypt-secrets failures")
            let monitor = QueueMonitor(redis, queue: queue.queue)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            try await monitor.forEachFailure { failure in
                if json {
                    Console.printResult(String(decoding: try encoder.encode(failure), as: UTF8.self) + "\n")
                } else {
                    let id =
                        failure.id.count == 1 ? failure.id[0] : "(" + failure.id.joined(separator: ", ") + ")"
                    Console.printResult(
                        "\(failure.table).\(failure.column) (id=\(id), key=\(failure.keyID ?? "unreadable")): \(failure.reason)\n"
                    )
                }
            }
        }
    }
}

/// `failures retry`.
struct FailuresRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Hands the failed records of the running job out again.")

    @OptionGroup var queue: QueueOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let redis = try queue.connect(try Environment(), as: "reencrypt-secrets failures")
            guard let count = try await QueueMonitor(redis, queue: queue.queue).retryFailures() else {
                throw SettingsError(
                    "no job runs on queue \(queue.queue), so nobody would work on them; start a coordinator, which hands out every old record anyway"
                )
            }
            Console.printResult("Handed out \(count) failed records again\n")
        }
    }
}
