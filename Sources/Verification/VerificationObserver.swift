/// Told of a verification's progress; may be called from any thread.
package protocol VerificationObserver: Sendable {
    func progressed(_ progress: VerificationProgress)
    /// Said once at each step that takes time: `Waiting for 2 open transactions`.
    func began(_ step: String)
    func sighted(_ sighting: VerificationOutcome.Sighting)
}

/// How far a pass over the tables has come.
package struct VerificationProgress: Sendable, Hashable {
    package var blocks = 0
    package var totalBlocks = 0
    package var records = 0
    package var elapsed = Duration.zero

    package var fraction: Double { totalBlocks == 0 ? 1 : Double(blocks) / Double(totalBlocks) }
    package var recordsPerSecond: Double? {
        elapsed > .zero ? Double(records) / (elapsed / .seconds(1)) : nil
    }
    package var remaining: Duration? {
        blocks == 0 ? nil : elapsed * (Double(totalBlocks - blocks) / Double(blocks))
    }
}
