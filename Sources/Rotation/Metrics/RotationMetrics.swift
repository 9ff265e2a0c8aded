package import Metrics

/// What a whole rotation in one process counts and times: what its coordinator knows, and what its worker does.
package struct RotationMetrics: Sendable {
    package let coordinator: CoordinatorMetrics
    package let worker: WorkerMetrics

    package static let none = RotationMetrics(tables: [], factory: NOOPMetricsHandler.instance)

    /// - Parameter tables: as the catalog names them; the values of a label.
    package init(tables: [String], factory: any MetricsFactory) {
        coordinator = CoordinatorMetrics(tables: tables, factory: factory)
        worker = WorkerMetrics(tables: tables, factory: factory)
    }
}
