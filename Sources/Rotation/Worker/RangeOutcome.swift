package import BatchQueue

/// What became of one delivery of a range.
package enum RangeOutcome: Sendable {
    case done(BatchResult)
    /// Untouched, due again after the delay. `reason` is for the log.
    case handBack(after: Duration, blockedSince: Int64?, reason: String)
    case split([BatchRange])
    /// Blocked for too long; the reason names the blocker where it can.
    case bury(reason: String)
    /// Untouched, and this worker cannot go on before a person has changed something.
    case needsOperator(reason: String)
}
