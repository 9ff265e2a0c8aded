import Logging
import Synchronization
import Verification

/// Shows a verification as it goes: a bar where a person looks, log lines elsewhere; then the failed records.
final class VerificationOutput: VerificationObserver {
    private let console: Console
    private let logger: Logger
    private let state = Mutex(State())
    private static let loggedFailures = 1_000

    private struct State {
        var lastLine = ContinuousClock.now
        var lastRecords = 0
        var lastStep = ""
    }

    init(_ logger: Logger, console: Console = .shared) {
        self.logger = logger
        self.console = console
    }

    func progressed(_ progress: VerificationProgress) {
        if console.isTerminal {
            console.setStatusLine(Self.bar(progress, width: Console.width))
        } else if isDue(progress) {
            logger.info("\(Self.line(progress))")
        }
    }

    func began(_ step: String) {
        let isNew = state.withLock { state in
            defer { state.lastStep = step }
            state.lastRecords = 0
            return state.lastStep != step
        }
        if isNew { logger.info("\(step)") }
    }

    func sighted(_ sighting: VerificationOutcome.Sighting) {
        let writers = sighting.writers.isEmpty ? "unknown" : sighting.writers.joined(separator: ", ")
        logger.warning(
            "Seen at \(sighting.time): \(sighting.records) records of \(sighting.table).\(sighting.column) under \(sighting.keyID ?? "no key (unreadable)"); writing to the table now: \(writers)"
        )
    }

    func finish() {
        console.setStatusLine("")
    }

    /// The failed records by name, the first thousand.
    func log(_ outcome: VerificationOutcome) {
        for failure in outcome.failures.listed.prefix(Self.loggedFailures) {
            logger.error("Failed: \(failure.place): \(failure.reason)")
        }
        if outcome.failures.total > Self.loggedFailures {
            logger.error(
                "\(outcome.failures.total - Self.loggedFailures) more records failed; the first \(Self.loggedFailures) are logged"
            )
        }
        for duplicate in outcome.duplicates.found.prefix(100) {
            logger.warning(
                "The same nonce and ciphertext stand in \(duplicate.places.count) places: \(duplicate.places.prefix(5).joined(separator: ", "))"
            )
        }
    }

    /// The verdict is about keys by their ids: warns where none, or perhaps a wrong one, is known to be retired.
    func warn(ofRetiredKeys outcome: VerificationOutcome, onlyNamed: [String]) {
        if outcome.retiredKeyIDs.isEmpty {
            logger.warning(
                "No retired key is known (no previous key, no --retired, no fence), so nothing here shows that a rotation took place: the verdict is about \(outcome.targetKeyID)"
            )
        }
        let target = outcome.targetKeyID
        for id in outcome.retiredKeyIDs where KeySeries.isEarlier(target, than: id) {
            logger.warning(
                "The primary \(target) comes before the retired \(id): the verdict is whether \(target) suffices; exchange the keys if \(target) is to go"
            )
        }
        let seen = Set(outcome.census.compactMap(\.keyID)).union(outcome.fencedKeyIDs)
        for id in onlyNamed where !seen.contains(id) {
            logger.warning(
                "Nothing here knows \(id) beside --retired: no previous key, no fence, no value; check its spelling"
            )
        }
    }

    /// At most a line a second, and a line every 1,000 records: whichever is rarer.
    private func isDue(_ progress: VerificationProgress) -> Bool {
        state.withLock { state in
            let now = ContinuousClock.now
            guard progress.records - state.lastRecords >= 1_000 else { return false }
            guard now - state.lastLine >= .seconds(1) else { return false }
            state.lastLine = now
            state.lastRecords = progress.records
            return true
        }
    }

    private static func line(_ progress: VerificationProgress) -> String {
        var text = "Progress: \(progress.records) records (\(Quantity.percent(progress.fraction)))"
        if let rate = progress.recordsPerSecond { text += ", \(Int(rate)) records/s" }
        if let remaining = progress.remaining { text += ", ETA \(Quantity.duration(remaining))" }
        return text
    }

    private static func bar(_ progress: VerificationProgress, width: Int) -> String {
        var tail = " \(Quantity.percent(progress.fraction))  \(Quantity.grouped(progress.records)) records"
        if let rate = progress.recordsPerSecond { tail += "  \(Quantity.grouped(Int(rate)))/s" }
        if let remaining = progress.remaining { tail += "  ETA \(Quantity.duration(remaining))" }
        let room = min(40, width - tail.count - 3)
        guard room >= 5 else { return String(tail.dropFirst().prefix(max(0, width - 1))) }
        let filled = Int(Double(room) * progress.fraction)
        return "[" + String(repeating: "█", count: filled) + String(repeating: "·", count: room - filled)
            + "]" + tail
    }
}
