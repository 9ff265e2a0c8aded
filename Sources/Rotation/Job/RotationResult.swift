package import BatchQueue
package import Verification

/// How a job ended, with what the database bears out.
package struct RotationResult: Sendable {
    package enum Outcome: Sendable, Hashable {
        /// A census after the queue was empty found no old record.
        case complete
        /// Old records remain; the reason says which and what to do.
        case incomplete(String)
        /// Told to stop: the ranges in hand were finished.
        case stopped
        /// An operator cancelled the job on the queue.
        case cancelled
    }

    package let outcome: Outcome
    package let before: Census
    /// Nil where the job ended before another census.
    package let after: Census?
    package let progress: JobProgress
}
