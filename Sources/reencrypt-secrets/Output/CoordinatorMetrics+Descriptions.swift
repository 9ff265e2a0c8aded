import Exposition
import Rotation

extension CoordinatorMetrics {
    /// What a coordinator's metrics are called and mean, with all values of their labels.
    static func descriptions(tables: [String]) -> [MetricDescription] {
        Name.allCases.map { $0.description(tables) }
    }
}

extension CoordinatorMetrics.Name {
    fileprivate func description(_ tables: [String]) -> MetricDescription {
        switch self {
        case .leading:
            MetricDescription(
                rawValue, .gauge, "1 while this coordinator leads the job, 0 while it waits for the lead.")
        case .remainingRecords:
            MetricDescription(
                rawValue, .gauge,
                "Records not under the target key by the last census that this coordinator took, by table.",
                .init("table", tables))
        case .batches:
            MetricDescription(
                rawValue, .gauge, "Batches of the job that this coordinator leads, by state.",
                .init("state", CoordinatorMetrics.BatchState.allCases.map(\.rawValue)))
        case .leaseExpiries:
            MetricDescription(
                rawValue, .counter,
                "Leases that ran out, since their workers were silent, while this coordinator led.")
        case .paused:
            MetricDescription(rawValue, .gauge, "Whether the job that this coordinator leads is paused.")
        case .throttled:
            MetricDescription(
                rawValue, .gauge, "1 for the kind of limit that holds the job back now, 0 for the others.",
                .init("reason", ThrottleCause.allCases.map(\.rawValue)))
        case .lastProgress:
            MetricDescription(
                rawValue, .gauge,
                "When this coordinator last saw that the number of records done had changed."
            )
        case .connectionErrors: .connectionErrors(rawValue)
        }
    }
}
