package import BatchQueue

/// Turns looks at the queue of the job that is led into metrics, each beside the look before it.
package struct QueueObserver: Sendable {
    private let metrics: CoordinatorMetrics
    private var last: (recordsDone: Int, leaseExpiries: Int)?

    /// - Parameter ofNewJob: nothing has happened in it before this process led; else what was before the first look is
    ///   not this process's.
    package init(_ metrics: CoordinatorMetrics, ofNewJob: Bool) {
        self.metrics = metrics
        last = ofNewJob ? (0, 0) : nil
    }

    /// - Parameter leaseExpiries: of the whole job. Where the number has fallen, the queue has lost data and counts
    ///   from 0.
    package mutating func observe(_ progress: JobProgress, isPaused: Bool, leaseExpiries: Int) {
        metrics.isPaused(isPaused)
        metrics.counted(.pending, progress.batchesPending)
        metrics.counted(.leased, progress.batchesLeased)
        metrics.counted(.delayed, progress.batchesDelayed)
        metrics.counted(.dead, progress.batchesDead)
        metrics.counted(.done, progress.batchesDone)
        if let last {
            let before = leaseExpiries < last.leaseExpiries ? 0 : last.leaseExpiries
            metrics.leasesExpired(leaseExpiries - before)
            if progress.recordsDone != last.recordsDone { metrics.progressed() }
        }
        last = (progress.recordsDone, leaseExpiries)
    }
}
