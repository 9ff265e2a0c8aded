import ArgumentParser
import BatchQueue
import FoundationEssentials

/// `status`: the job on a queue, as Redis shows it.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows the progress of the job on the queue.")

    @Flag(help: "Redraw every second until the job ends.")
    var watch = false

    @Flag(help: "One JSON object, for programs.")
    var json = false

    @OptionGroup var queue: QueueOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let redis = try queue.connect(try Environment(), as: "reencrypt-secrets status")
            let monitor = QueueMonitor(redis, queue: queue.queue)
            var drawn = 0
            while true {
                let status = try await QueueStatus.read(monitor)
                if json {
                    Console.printResult(try status.json() + "\n")
                } else {
                    let text = status.text()
                    // On a terminal the last picture is overwritten.
                    let up = watch && Console.resultIsTerminal && drawn > 0 ? "\u{1B}[\(drawn)A\u{1B}[J" : ""
                    Console.printResult(up + text)
                    drawn = text.count { $0 == "\n" }
                }
                guard watch, status.isRunning else { return }
                try await Task.sleep(for: .seconds(1))
            }
        }
    }
}
