import BatchQueue
import Logging
import Rotation
import Synchronization

/// Shows a job's progress: a bar where a person looks, log lines elsewhere; and failed records as they come.
final class ProgressOutput: RotationObserver {
    private let console: Console
    private let logger: Logger
    private let state = Mutex(State())
    private let loggedFailures = 1_000

    private struct State {
        var lastLine: ContinuousClock.Instant?
        var lastDone = 0
        var failures: Set<RecordFailure> = []
        var saidThatMoreFollow = false
    }

    init(_ logger: Logger, console: Console = .shared) {
        self.logger = logger
        self.console = console
    }

    func progressed(_ reading: ProgressMeter.Reading) {
        if console.isTerminal {
            console.setStatusLine(Self.bar(reading, width: Console.width))
        } else if isDue(reading) {
            logger.info("\(Self.line(reading))")
        }
    }

    func failed(_ failure: RecordFailure) {
        enum Action {
            case log, sayThatMoreFollow, nothing
        }
        let action: Action = state.withLock { state in
            // A record that fails again in a later sweep has been logged.
            if state.failures.contains(failure) { return .nothing }
            if state.failures.count < loggedFailures {
                state.failures.insert(failure)
                return .log
            }
            defer { state.saidThatMoreFollow = true }
            return state.saidThatMoreFollow ? .nothing : .sayThatMoreFollow
        }
        switch action {
        case .log:
            logger.error("Failed: \(failure.place): \(failure.reason)")
        case .sayThatMoreFollow:
            logger.error(
                "More records failed; the first \(loggedFailures) are logged, --report FILE lists all")
        case .nothing: break
        }
    }

    func finish() {
        console.setStatusLine("")
    }

    /// At most a line a second, and a line every 1,000 records: whichever is rarer.
    private func isDue(_ reading: ProgressMeter.Reading) -> Bool {
        state.withLock { state in
            let now = ContinuousClock.now
            guard reading.done - state.lastDone >= 1_000 else { return false }
            if let last = state.lastLine, now - last < .seconds(1) { return false }
            state.lastLine = now
            state.lastDone = reading.done
            return true
        }
    }

    static func line(_ reading: ProgressMeter.Reading) -> String {
        var text =
            "Progress: \(reading.done) of \(reading.total) records (\(Quantity.percent(reading.fraction)))"
        if let rate = reading.recordsPerSecond { text += ", \(Int(rate)) records/s" }
        if let remaining = reading.remaining { text += ", ETA \(Quantity.duration(remaining))" }
        if reading.progress.recordsFailed > 0 { text += ", \(reading.progress.recordsFailed) failed" }
        return text
    }

    static func bar(_ reading: ProgressMeter.Reading, width: Int) -> String {
        var tail = " \(Quantity.percent(reading.fraction))  \(Quantity.grouped(reading.done)) of "
        tail += "\(Quantity.grouped(reading.total)) records"
        if let rate = reading.recordsPerSecond { tail += "  \(Quantity.grouped(Int(rate)))/s" }
        if let remaining = reading.remaining { tail += "  ETA \(Quantity.duration(remaining))" }
        if reading.progress.recordsFailed > 0 { tail += "  \(reading.progress.recordsFailed) failed" }
        let room = min(40, width - tail.count - 3)
        guard room >= 5 else { return String(tail.dropFirst().prefix(max(0, width - 1))) }
        return "[" + Bar.text(reading.fraction, room: room) + "]" + tail
    }
}

extension RecordFailure {
    /// `table.column (id=…)`.
    var place: String {
        let text = id.count == 1 ? id[0] : "(" + id.joined(separator: ", ") + ")"
        return "\(table).\(column) (id=\(text))"
    }
}
