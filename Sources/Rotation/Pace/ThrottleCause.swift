/// Which kind of limit holds a job back: a reason's bounded part, for metrics.
package enum ThrottleCause: String, Sendable, CaseIterable {
    case maxRecordsPerSecond = "max_records_per_second"
    /// A share of the lanes' time.
    case laneShare = "lane_share"
    case lockWaits = "lock_waits"
    case standbyLag = "standby_lag"
    case throttleQuery = "throttle_query"
    case slotWAL = "slot_wal"
    case archiveFailing = "archive_failing"
    case horizonAge = "horizon_age"
    case freeDisk = "free_disk"
    case synchronousStandby = "synchronous_standby"
}
