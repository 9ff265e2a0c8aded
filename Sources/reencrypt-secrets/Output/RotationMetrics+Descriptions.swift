import Exposition
import Rotation

extension RotationMetrics {
    /// Of all that a whole rotation in one process shows at /metrics.
    static func descriptions(tables: [String]) -> [MetricDescription] {
        CoordinatorMetrics.descriptions(tables: tables) + WorkerMetrics.descriptions(tables: tables)
    }
}
