/// A worker's side of a queue: ranges are handed out at least once. PostgreSQL is the truth: a record that is
/// already current is not touched, so a batch may be delivered again at any time, and each one is *counted*
/// exactly once.
package protocol BatchQueue: Sendable {
    /// Waits for a range that is due. Nil once the job has ended, or the caller's task is cancelled.
    func claim() async throws -> Lease?
    func acknowledge(_ lease: Lease, _ result: BatchResult) async throws -> AcknowledgeAnswer
    /// Gives a range back untouched; it is due again after `delay`.
    func handBack(
        _ lease: Lease, after delay: Duration, blockedSince: Int64?
    ) async throws -> AcknowledgeAnswer
    /// Replaces a range by its parts.
    func split(_ lease: Lease, into parts: [BatchRange]) async throws -> AcknowledgeAnswer
    /// Gives a range up; its records count as failed.
    func bury(_ lease: Lease, reason: String) async throws -> AcknowledgeAnswer
}

/// A coordinator's side of a queue.
package protocol CoordinatorQueue: Sendable {
    /// Starts a sweep: a fresh generation; failed records leave the counters, since they are handed out again.
    /// - Parameter oldRecords: by the census that opens it.
    func beginSweep(oldRecords: Int) async throws
    /// Draws the sweep's generation again after the queue lost data; what was counted stays counted.
    func redraw() async throws
    /// Where the enumeration of this sweep stands, to go on after a change of coordinators.
    func cursor() async throws -> EnumerationCursor?
    /// Adds ranges, and stores the cursor with them.
    /// - Throws: `GenerationLost` where the queue has lost data: draw again, and enumerate from the start.
    func enqueue(_ ranges: [BatchRange], cursor: EnumerationCursor) async throws
    /// No more ranges come in this sweep.
    func finishEnumeration() async throws
    /// The sweep is drained; a census decides what comes next.
    func beginVerification() async throws
    /// Shows a census: for each table, column and key id (nil: unreadable) its records.
    func show(census: [(group: [String?], records: Int)]) async throws
    /// Shows what a person wants to know and the queue cannot: rate and remaining time; nil is unknown.
    func publish(recordsPerSecond: Double?, remaining: Duration?) async
    /// Sets how fast ranges are handed out from now on.
    func publish(_ pace: ClaimPace) async throws
    /// Rows rewritten so far in this job, by the oid of their leaf; fewer than there were where the queue lost data.
    func rowsByLeaf() async throws -> [UInt32: Int]
    /// - Throws: `GenerationLost`.
    func progress() async throws -> JobProgress
    /// Returns when no batch is outstanding and none will come.
    /// - Throws: `GenerationLost`; `JobCancelled`.
    func waitUntilDrained() async throws
    /// Returns when fewer than `limit` batches are outstanding.
    /// - Throws: `GenerationLost`; `JobCancelled`.
    func waitForRoom(below limit: Int) async throws
}

/// A place between two rows of an enumeration: all tables before it are through.
package struct EnumerationCursor: Sendable, Hashable, Codable {
    /// The leaf that is being enumerated.
    package var leaf: UInt32
    /// What `after` is; left out where it is an id.
    private var by: BatchRange.Kind?
    /// The last id or place visited in it; nil at its start.
    package var after: [String]?

    package var kind: BatchRange.Kind { by ?? .ids }

    package init(leaf: UInt32, kind: BatchRange.Kind = .ids, after: [String]?) {
        self.leaf = leaf
        by = kind == .ids ? nil : kind
        self.after = after
    }
}

/// The queue is behind what it was: it lost data.
package struct GenerationLost: Error {
    package init() {}
}

/// An operator cancelled the job.
package struct JobCancelled: Error {
    package init() {}
}
