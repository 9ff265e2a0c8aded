import BatchQueue
import Exposition
import Rotation

extension WorkerMetrics {
    /// What a worker's metrics are called and mean, with all values of their labels.
    static func descriptions(tables: [String]) -> [MetricDescription] {
        Name.allCases.map { $0.description(tables) }
    }
}

extension WorkerMetrics.Name {
    fileprivate func description(_ tables: [String]) -> MetricDescription {
        func values<Value: CaseIterable & RawRepresentable>(_: Value.Type) -> [String]
        where Value.RawValue == String { Value.allCases.map(\.rawValue) }
        switch self {
        case .records:
            return MetricDescription(
                rawValue, .counter,
                "Records that this worker has reported and the queue has counted, by table and outcome.",
                .init("table", tables), .init("outcome", values(WorkerMetrics.RecordOutcome.self)))
        case .batches:
            return MetricDescription(
                rawValue, .counter, "Batches that this worker has reported, by what became of them here.",
                .init("outcome", values(WorkerMetrics.BatchOutcome.self)))
        case .acknowledgements:
            return MetricDescription(
                rawValue, .counter, "Reports of batches, by what the queue made of them.",
                .init("result", values(AcknowledgeAnswer.self)))
        case .batchSeconds:
            return MetricDescription(
                rawValue,
                .histogram([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]),
                "Time from a lane's turn at a batch to the answer of its COMMIT.")
        case .commitSeconds:
            return MetricDescription(
                rawValue,
                .histogram([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]),
                "Time from the sending of COMMIT to its answer, what was left of the UPDATE before it included."
            )
        case .cryptoSeconds:
            return MetricDescription(
                rawValue,
                .histogram([0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]),
                "Time that parsing, rewrapping and proving the values of a batch took.")
        case .queueSeconds:
            return MetricDescription(
                rawValue,
                .histogram([
                    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5,
                ]),
                "Time until Redis answered a script of the queue, the wait for the connection included.",
                .init("script", values(WorkerScript.self)))
        case .lanes:
            return MetricDescription(rawValue, .gauge, "Database connections that rewrap side by side.")
        case .lastProgress:
            return MetricDescription(
                rawValue, .gauge, "When the queue last counted a record of this worker.")
        case .connectionErrors:
            return .connectionErrors(rawValue)
        }
    }
}

extension MetricDescription {
    static func connectionErrors(_ name: String) -> MetricDescription {
        MetricDescription(
            name, .counter,
            "Connections that did not come about, broke or were not answered in time, each try by itself.",
            .init("server", ConnectionErrors.Server.allCases.map(\.rawValue)))
    }
}
