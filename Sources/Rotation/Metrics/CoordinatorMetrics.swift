import BatchQueue
import Catalog
package import Metrics
package import Verification

/// What a coordinator knows of the job that it leads, for whatever backend swift-metrics has. While it waits for the
/// lead, all of that is unknown (NaN), which is not 0.
package struct CoordinatorMetrics: Sendable {
    package enum Name: String, Sendable, CaseIterable {
        case leading = "reencrypt_coordinator_leading"
        case remainingRecords = "reencrypt_coordinator_remaining_records"
        case batches = "reencrypt_coordinator_batches"
        case leaseExpiries = "reencrypt_coordinator_lease_expiries_total"
        case paused = "reencrypt_coordinator_paused"
        case throttled = "reencrypt_coordinator_throttled"
        case lastProgress = "reencrypt_coordinator_last_progress_timestamp_seconds"
        case connectionErrors = "reencrypt_coordinator_connection_errors_total"
    }

    package enum BatchState: String, Sendable, CaseIterable {
        case pending
        case leased
        case delayed
        case dead
        case done
    }

    private let leading: Gauge
    private let remainingRecords: [StoredName: Gauge]
    private let batches: Labelled<BatchState, Gauge>
    private let leaseExpiries: Counter
    private let paused: Gauge
    private let throttled: Labelled<ThrottleCause, Gauge>
    private let lastProgress: Gauge
    package let connectionErrors: ConnectionErrors

    package static let none = CoordinatorMetrics(tables: [], factory: NOOPMetricsHandler.instance)

    /// - Parameter tables: as the catalog names them; the values of a label.
    package init(tables: [String], factory: any MetricsFactory) {
        func gauge(_ name: Name, _ dimensions: [(String, String)] = []) -> Gauge {
            Gauge(label: name.rawValue, dimensions: dimensions, factory: factory)
        }
        leading = gauge(.leading)
        remainingRecords = Dictionary(
            tables.map { (StoredName($0), gauge(.remainingRecords, [("table", $0)])) },
            uniquingKeysWith: { first, _ in first })
        batches = Labelled("state") { gauge(.batches, $0) }
        leaseExpiries = Counter(label: Name.leaseExpiries.rawValue, factory: factory)
        paused = gauge(.paused)
        throttled = Labelled("reason") { gauge(.throttled, $0) }
        lastProgress = gauge(.lastProgress)
        connectionErrors = ConnectionErrors(Name.connectionErrors.rawValue, factory)
    }

    // MARK: The lead

    package func waitsForTheLead() {
        leading.record(0)
        for gauge in [paused, lastProgress] + batches.all + throttled.all + remainingRecords.values {
            gauge.record(Double.nan)
        }
    }

    package func leads() {
        leading.record(1)
        isThrottled(by: nil)
    }

    // MARK: The job

    package func remains(_ census: Census, target: String) {
        for (table, gauge) in remainingRecords {
            gauge.record(census.oldRecords(of: table, target: target))
        }
    }

    /// - Parameter cause: what holds the job back now; nil where nothing does.
    package func isThrottled(by cause: ThrottleCause?) {
        for each in ThrottleCause.allCases { throttled[each]?.record(each == cause ? 1 : 0) }
    }

    func isPaused(_ isPaused: Bool) {
        paused.record(isPaused ? 1 : 0)
    }

    func counted(_ state: BatchState, _ count: Int) {
        batches[state]?.record(count)
    }

    func leasesExpired(_ count: Int) {
        leaseExpiries.increment(by: count)
    }

    func progressed() {
        lastProgress.record(Double(WallClock.milliseconds) / 1_000)
    }
}
