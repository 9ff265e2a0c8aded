package import BatchQueue
import Catalog
package import Metrics

/// What a worker counts and times, for whatever backend swift-metrics has. All instruments are made once; each is used
/// a few times a range, none for a row.
package struct WorkerMetrics: Sendable {
    package enum Name: String, Sendable, CaseIterable {
        case records = "reencrypt_worker_records_total"
        case batches = "reencrypt_worker_batches_total"
        case acknowledgements = "reencrypt_worker_acknowledgements_total"
        case batchSeconds = "reencrypt_worker_batch_seconds"
        case commitSeconds = "reencrypt_worker_commit_seconds"
        case cryptoSeconds = "reencrypt_worker_crypto_seconds"
        case queueSeconds = "reencrypt_worker_queue_seconds"
        case lanes = "reencrypt_worker_lanes"
        case lastProgress = "reencrypt_worker_last_progress_timestamp_seconds"
        case connectionErrors = "reencrypt_worker_connection_errors_total"
    }

    package enum RecordOutcome: String, Sendable, CaseIterable {
        case rewrapped
        case superseded
        case failed
    }

    /// What became of one delivery of a range here, whether the queue counted it or not.
    package enum BatchOutcome: String, Sendable, CaseIterable {
        case done
        case split
        /// Given up.
        case buried
        /// Handed back, since the database could not do it.
        case error
        /// Handed back, since others hold locks on its rows.
        case locked
        /// Handed back, since no coordinator leads the job at the moment.
        case unled
        /// Handed back, since this process ends.
        case stopping
    }

    private let records: [StoredName: Labelled<RecordOutcome, Counter>]
    private let batches: Labelled<BatchOutcome, Counter>
    private let acknowledgements: Labelled<AcknowledgeAnswer, Counter>
    private let queueSeconds: Labelled<WorkerScript, Timer>
    private let lanes: Gauge
    private let lastProgress: Gauge
    /// From a lane's turn at a range to the answer of its COMMIT.
    let batchSeconds: Timer
    /// From the sending of COMMIT to its answer.
    let commitSeconds: Timer
    /// Parsing, rewrapping and proving of a range's values.
    let cryptoSeconds: Timer
    package let connectionErrors: ConnectionErrors

    package static let none = WorkerMetrics(tables: [], factory: NOOPMetricsHandler.instance)

    /// - Parameter tables: as the catalog names them; the values of a label.
    package init(tables: [String], factory: any MetricsFactory) {
        func timer(_ name: Name, _ dimensions: [(String, String)] = []) -> Timer {
            Timer(label: name.rawValue, dimensions: dimensions, factory: factory)
        }
        func counter(_ name: Name, _ dimensions: [(String, String)]) -> Counter {
            Counter(label: name.rawValue, dimensions: dimensions, factory: factory)
        }
        func gauge(_ name: Name) -> Gauge { Gauge(label: name.rawValue, factory: factory) }
        records = Dictionary(
            tables.map { table in
                (StoredName(table), Labelled("outcome") { counter(.records, [("table", table)] + $0) })
            }, uniquingKeysWith: { first, _ in first })
        batches = Labelled("outcome") { counter(.batches, $0) }
        acknowledgements = Labelled("result") { counter(.acknowledgements, $0) }
        queueSeconds = Labelled("script") { timer(.queueSeconds, $0) }
        lanes = gauge(.lanes)
        lastProgress = gauge(.lastProgress)
        batchSeconds = timer(.batchSeconds)
        commitSeconds = timer(.commitSeconds)
        cryptoSeconds = timer(.cryptoSeconds)
        connectionErrors = ConnectionErrors(Name.connectionErrors.rawValue, factory)
    }

    package func works(withLanes count: Int) {
        lanes.record(count)
    }

    package func answered(_ script: WorkerScript, after duration: Duration) {
        queueSeconds[script]?.record(duration: duration)
    }

    // MARK: Reports

    /// A range has been reported. Records count where the report does, as the queue itself reckons: what was handed out
    /// and is neither rewrapped, failed nor handed on was no longer old.
    package func reported(_ lease: Lease, _ outcome: RangeOutcome, _ answer: AcknowledgeAnswer) {
        batches[BatchOutcome(outcome)]?.increment()
        acknowledgements[answer]?.increment()
        guard answer == .counted else { return }
        switch outcome {
        case .done(let result):
            add(
                lease, rewrapped: result.rewrapped, failed: result.failures.count,
                handedOn: result.remainder?.records ?? 0)
        case .split(let parts): add(lease, handedOn: parts.reduce(0) { $0 + $1.records })
        case .bury: add(lease, failed: lease.range.records)
        case .handBack, .needsOperator: break
        }
    }

    private func add(_ lease: Lease, rewrapped: Int = 0, failed: Int = 0, handedOn: Int = 0) {
        let superseded = max(0, lease.range.records - rewrapped - failed - handedOn)
        if let records = records[StoredName(lease.range.table)] {
            records[.rewrapped]?.increment(by: rewrapped)
            records[.failed]?.increment(by: failed)
            records[.superseded]?.increment(by: superseded)
        }
        if rewrapped + failed + superseded > 0 {
            lastProgress.record(Double(WallClock.milliseconds) / 1_000)
        }
    }
}

extension WorkerMetrics.BatchOutcome {
    init(_ outcome: RangeOutcome) {
        switch outcome {
        case .done: self = .done
        case .split: self = .split
        case .bury: self = .buried
        case .needsOperator: self = .error
        case .handBack(_, _, let cause, _):
            switch cause {
            case .failure: self = .error
            case .locked: self = .locked
            case .unled: self = .unled
            case .stopping: self = .stopping
            }
        }
    }
}
