package import BatchQueue

/// Why a range is handed back, as far as it matters for how long to go on.
package enum HandBackCause: Sendable {
    /// The database could not do it now.
    case failure
    /// Others hold locks on its rows.
    case locked
    /// No coordinator holds the job's lock at the moment, or a new one is about to: nothing is wrong here.
    case unled
    /// This process ends.
    case stopping
}

/// What became of one delivery of a range.
package enum RangeOutcome: Sendable {
    case done(BatchResult)
    /// Untouched, due again after the delay. `reason` is for the log.
    case handBack(after: Duration, blockedSince: Int64?, cause: HandBackCause, reason: String)
    case split([BatchRange])
    /// Blocked for too long; the reason names the blocker where it can.
    case bury(reason: String)
    /// Untouched, and this worker cannot go on before a person has changed something.
    case needsOperator(reason: String)
}
