import BatchQueue
import Exposition
import Rotation
import Testing
import Verification

@testable import reencrypt_secrets

/// What is recorded is what is described: a name or a label that differs would be silently left out.
@Suite struct MetricDescriptionTests {
    private let tables = ["public.t", "odd \"schema\".t", "e\u{301}", "\u{E9}"]

    /// Every line of the text that is no comment, by its series.
    private func values(_ text: String) -> [String: Double] {
        Dictionary(
            text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
                guard let space = line.lastIndex(of: " ") else { return nil }
                return (String(line[..<space]), Double(line[line.index(after: space)...]) ?? .nan)
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Of what is shown at all.
    private func names(_ text: String) -> [Substring] {
        text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
    }

    @Test func everyCounterAndTimerOfAWorkerIsKept() {
        let registry = PrometheusRegistry(WorkerMetrics.descriptions(tables: tables))
        let metrics = WorkerMetrics(tables: tables, factory: registry)
        metrics.works(withLanes: 4)
        for table in tables {
            let range = BatchRange(table: table, leaf: 1, first: ["1"], last: ["2"], records: 3, rows: 3)
            let lease = Lease(sequence: 1, generation: 1, range: range, deliveries: 1)
            let failure = RecordFailure(table: table, id: ["1"], column: "c", keyID: nil, reason: "r")
            for answer in AcknowledgeAnswer.allCases {
                metrics.reported(lease, .done(BatchResult(rewrapped: 1, failures: [failure])), answer)
            }
        }
        for script in WorkerScript.allCases { metrics.answered(script, after: .milliseconds(1)) }
        let values = values(registry.text)
        for (series, value) in values where series.contains("records_total") {
            #expect(value == 1, "\(series)")
        }
        #expect(values.keys.count { $0.contains("records_total") } == 3 * tables.count - 3)
        #expect(
            registry.text.split(separator: "\n").count { $0.contains("records_total{") } == 3 * tables.count)
        for (series, value) in values where series.contains("acknowledgements") {
            #expect(value == 4, "\(series)")
        }
        for (series, value) in values where series.contains("queue_seconds_count") {
            #expect(value == 1, "\(series)")
        }
        #expect(values["reencrypt_worker_batches_total{outcome=\"done\"}"] == 12)
        #expect(values["reencrypt_worker_lanes"] == 4)
        #expect(names(registry.text).count == WorkerMetrics.Name.allCases.count)
    }

    @Test func everyGaugeOfACoordinatorIsKept() {
        let registry = PrometheusRegistry(CoordinatorMetrics.descriptions(tables: tables))
        let metrics = CoordinatorMetrics(tables: tables, factory: registry)
        metrics.leads()
        metrics.remains(Census(), target: "kek-v2")
        var observer = QueueObserver(metrics, ofNewJob: false)
        observer.observe(JobProgress(), isPaused: false, leaseExpiries: 0)
        var progress = JobProgress()
        progress.recordsRewrapped = 1
        observer.observe(progress, isPaused: false, leaseExpiries: 1)
        #expect(names(registry.text).count == CoordinatorMetrics.Name.allCases.count)
        let lines = registry.text.split(separator: "\n")
        #expect(lines.count { $0.contains("remaining_records{") } == tables.count)
        #expect(lines.count { $0.contains("throttled{") } == ThrottleCause.allCases.count)
        #expect(lines.contains("reencrypt_coordinator_lease_expiries_total 1"))
        metrics.waitsForTheLead()
        // Counters stay.
        #expect(
            names(registry.text) == [
                "reencrypt_coordinator_leading", "reencrypt_coordinator_lease_expiries_total",
                "reencrypt_coordinator_connection_errors_total",
            ])
    }
}
