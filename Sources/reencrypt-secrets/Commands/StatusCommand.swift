import ArgumentParser
import BatchQueue

/// `status`: the job on a queue, as Redis shows it.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows the progress of the job on the queue.")

    @Flag(
        help:
            "Until the job ends: on a terminal a picture, drawn anew each second; elsewhere a line, at each change and every 10 s."
    )
    var watch = false

    @Flag(help: "One JSON object, for programs.")
    var json = false

    @OptionGroup var queue: QueueOptions
    @OptionGroup var logging: LoggingOptions

    /// Enough that events that are worth a line are among them, beside batches.
    private static let eventsRead = 300

    func run() async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let redis = try queue.connect(try Environment(), as: "reencrypt-secrets status")
            let monitor = QueueMonitor(redis, queue: queue.queue)
            let draws = watch && !json && Console.resultIsTerminal
            var drawn = 0
            var told: (standing: String, at: ContinuousClock.Instant)?
            while true {
                let picture = try await monitor.picture()
                if json {
                    Console.printResult(try QueueStatus(picture: picture).json() + "\n")
                } else if draws {
                    drawn = draw(picture, try await monitor.events(most: Self.eventsRead), over: drawn)
                } else if watch {
                    // Logs need no line a second; what changes is worth one at once.
                    let status = QueueStatus(picture: picture)
                    let now = ContinuousClock.now
                    if told.map({ $0.standing != status.standing || now - $0.at >= .seconds(10) }) ?? true {
                        Console.printResult("\(Timestamp.now()) \(status.line())\n")
                        told = (status.standing, now)
                    }
                } else {
                    Console.printResult(QueueStatus(picture: picture).text())
                }
                guard watch, picture.isRunning else { return }
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// Draws over the last picture.
    /// - Parameter drawn: its lines.
    /// - Returns: the lines of this one.
    private func draw(_ picture: QueuePicture, _ events: [QueueMonitor.Event], over drawn: Int) -> Int {
        let size = Console.resultSize
        // The cursor stands below the last line.
        let lines = StatusScreen(picture: picture, events: events.filter(StatusScreen.isWorthALine)).lines(
            width: size.columns, height: size.rows - 1)
        let up = drawn > 0 ? "\u{1B}[\(min(drawn, size.rows - 1))A\r\u{1B}[J" : ""
        Console.printResult(up + lines.map { $0 + "\n" }.joined())
        return lines.count
    }
}
