/// Hands ranges to workers at least once. PostgreSQL is the truth: a record that is already current is not
/// touched, so a batch may be delivered again at any time, and each one is *counted* exactly once.
package protocol BatchQueue: Sendable {
    /// Starts a sweep: a fresh generation; failed records leave the counters, since they are handed out again.
    func beginSweep() async throws
    func enqueue(_ ranges: [BatchRange]) async throws
    /// No more ranges come in this sweep.
    func finishEnumeration() async throws

    /// Waits for a range that is due. Nil once the sweep is drained, or the caller's task is cancelled.
    func claim() async throws -> Lease?
    func acknowledge(_ lease: Lease, _ result: BatchResult) async throws -> AcknowledgeAnswer
    /// Gives a range back untouched; it is due again after `delay`.
    func handBack(_ lease: Lease, after delay: Duration, blockedSince: Int64?) async throws
        -> AcknowledgeAnswer
    /// Replaces a range by its parts.
    func split(_ lease: Lease, into parts: [BatchRange]) async throws -> AcknowledgeAnswer
    /// Gives a range up; its records count as failed.
    func bury(_ lease: Lease, reason: String) async throws -> AcknowledgeAnswer

    func progress() async throws -> JobProgress
    /// Returns when no batch is outstanding and none will come; or when the caller's task is cancelled.
    func waitUntilDrained() async throws
    /// Returns when fewer than `limit` batches are outstanding; or when the caller's task is cancelled.
    func waitForRoom(below limit: Int) async throws
}
