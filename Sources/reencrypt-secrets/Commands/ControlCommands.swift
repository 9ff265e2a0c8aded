import ArgumentParser
import BatchQueue

/// `pause`: workers finish what they have in hand and take nothing more.
struct PauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Pauses the job: workers take no further ranges.")

    @OptionGroup var queue: QueueOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws { try await QueueOrder.give(.pause, "Paused", queue, logging) }
}

/// `resume`: the opposite.
struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Resumes a paused job.")

    @OptionGroup var queue: QueueOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws { try await QueueOrder.give(.resume, "Resumed", queue, logging) }
}

/// `cancel`: the job ends; what was re-encrypted stays so.
struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Cancels the job; what was re-encrypted stays re-encrypted.")

    @OptionGroup var queue: QueueOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws { try await QueueOrder.give(.cancel, "Cancelled", queue, logging) }
}

private enum QueueOrder {
    static func give(
        _ order: QueueMonitor.Order, _ done: String, _ queue: QueueOptions, _ logging: LoggingOptions
    ) async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let redis = try queue.connect(try Environment(), as: "reencrypt-secrets \(order.rawValue)")
            guard try await QueueMonitor(redis, queue: queue.queue).give(order) else {
                throw SettingsError(
                    "no job runs on queue \(queue.queue); `reencrypt-secrets status` shows the last one")
            }
            Console.printResult("\(done) the job on queue \(queue.queue)\n")
        }
    }
}
