/// The counters of a job, as dashboards read them. At every instant
/// `recordsDone = recordsRewrapped + recordsSuperseded + recordsFailed ≤ recordsTotal`, and
/// `batchesTotal = batchesDone + batchesPending + batchesLeased + batchesDelayed + batchesDead`.
package struct JobProgress: Sendable, Hashable {
    package var sweep = 0
    /// Records handed out, over the whole job.
    package var recordsTotal = 0
    package var recordsRewrapped = 0
    /// No longer old when their worker came: changed or deleted by the application, or done by an earlier
    /// delivery.
    package var recordsSuperseded = 0
    package var recordsFailed = 0
    package var batchesTotal = 0
    package var batchesDone = 0
    package var batchesPending = 0
    package var batchesLeased = 0
    package var batchesDelayed = 0
    package var batchesDead = 0
    package var enumerationDone = false
    /// Of all batches counted since the job began.
    package var cost = BatchCost()
    /// Batches that were split because one of their rows spoils them.
    package var splits = 0

    package init() {}

    package var recordsDone: Int { recordsRewrapped + recordsSuperseded + recordsFailed }
    /// Batches that somebody still has to work on.
    package var batchesOutstanding: Int { batchesPending + batchesLeased + batchesDelayed }
}
