import BatchQueue
import Metrics
import MetricsTestKit
import Postgres
import Redis
import Rotation
import TestSupport
import Testing

/// What a worker counts of its ranges, by the same equations as the queue.
@Suite struct WorkerMetricsTests {
    private let backend = TestMetrics()
    private let metrics: WorkerMetrics

    init() {
        metrics = WorkerMetrics(tables: ["t", "u"], factory: backend)
    }

    private func lease(_ records: Int, table: String = "t") -> Lease {
        let range = BatchRange(
            table: table, leaf: 1, first: ["1"], last: ["9"], records: records, rows: records)
        return Lease(sequence: 1, generation: 1, range: range, deliveries: 1)
    }

    private func failure() -> RecordFailure {
        RecordFailure(table: "t", id: ["1"], column: "c", keyID: nil, reason: "r")
    }

    /// Rewrapped, superseded, failed.
    private func records(_ table: String = "t") -> [Int64] {
        WorkerMetrics.RecordOutcome.allCases.map { outcome in
            backend.counterTotal(
                label: "reencrypt_worker_records_total",
                dimensions: [("table", table), ("outcome", outcome.rawValue)])
        }
    }

    private func batches(_ outcome: WorkerMetrics.BatchOutcome) -> Int64 {
        backend.counterTotal(
            label: "reencrypt_worker_batches_total", dimensions: [("outcome", outcome.rawValue)])
    }

    private func acknowledgements(_ answer: AcknowledgeAnswer) -> Int64 {
        backend.counterTotal(
            label: "reencrypt_worker_acknowledgements_total", dimensions: [("result", answer.rawValue)])
    }

    @Test func whatIsNoLongerOldIsSuperseded() {
        metrics.reported(
            lease(10), .done(BatchResult(rewrapped: 6, failures: [failure()])), .counted)
        #expect(records() == [6, 3, 1])
        #expect(records("u") == [0, 0, 0])
        // More than was handed out: the application has added some.
        metrics.reported(lease(2), .done(BatchResult(rewrapped: 5)), .counted)
        #expect(records() == [11, 3, 1])
        #expect(batches(.done) == 2)
    }

    @Test func whatIsHandedOnIsNeitherDoneNorSuperseded() {
        let (whole, part) = (lease(10), lease(4).range)
        metrics.reported(whole, .done(BatchResult(rewrapped: 6, remainder: part)), .counted)
        #expect(records() == [6, 0, 0])
        metrics.reported(whole, .split([part, part]), .counted)
        #expect(records() == [6, 2, 0])
        #expect(batches(.split) == 1)
    }

    @Test func aRangeThatIsGivenUpHasFailed() {
        metrics.reported(lease(10), .bury(reason: "locked"), .counted)
        #expect(records() == [0, 0, 10])
        #expect(batches(.buried) == 1)
    }

    @Test(arguments: [AcknowledgeAnswer.duplicate, .stale])
    func whatTheQueueDoesNotCountIsNoRecord(_ answer: AcknowledgeAnswer) throws {
        metrics.reported(lease(10), .done(BatchResult(rewrapped: 10)), answer)
        #expect(records() == [0, 0, 0])
        #expect(batches(.done) == 1)
        #expect(acknowledgements(answer) == 1)
        #expect(acknowledgements(.counted) == 0)
        #expect(
            try backend.expectGauge("reencrypt_worker_last_progress_timestamp_seconds").values.isEmpty)
    }

    @Test(arguments: [
        (HandBackCause.failure, WorkerMetrics.BatchOutcome.error), (.locked, .locked), (.unled, .unled),
        (.stopping, .stopping),
    ])
    func aRangeThatIsHandedBackSaysWhy(_ cause: HandBackCause, _ outcome: WorkerMetrics.BatchOutcome) {
        metrics.reported(
            lease(10), .handBack(after: .zero, blockedSince: nil, cause: cause, reason: "r"), .counted)
        #expect(batches(outcome) == 1)
        #expect(records() == [0, 0, 0])
    }

    @Test func aTableThatNobodyListedIsNoLabel() {
        metrics.reported(lease(10, table: "x"), .bury(reason: "unknown"), .counted)
        #expect(!backend.counters.contains { $0.dimensions.contains { $0.1 == "x" } })
    }

    @Test func progressHasATime() throws {
        let before = Double(WallClock.milliseconds) / 1_000
        metrics.reported(lease(1), .done(BatchResult(rewrapped: 1)), .counted)
        let time = try backend.expectGauge("reencrypt_worker_last_progress_timestamp_seconds").lastValue
        #expect(try #require(time) >= before)
    }

    @Test func onlyWhatCostsAConnectionIsAConnectionError() {
        let errors = metrics.connectionErrors
        errors.note(PostgresError(.connectionFailed, "refused"))
        errors.note(PostgresError(.server, "shutting down", sqlState: SQLState("57P01")))
        errors.note(PostgresError(.server, "deadlock", sqlState: SQLState("40P01")))
        errors.note(RedisError(.connectionLost, "lost"))
        errors.note(RedisError(.server, "no memory", answer: RedisErrorCode("OOM")))
        func count(_ server: String) -> Int64 {
            backend.counterTotal(
                label: "reencrypt_worker_connection_errors_total", dimensions: [("server", server)])
        }
        #expect(count("postgres") == 2)
        #expect(count("redis") == 1)
    }

    @Test func aScriptsTimeIsItsOwn() throws {
        metrics.answered(.handBack, after: .milliseconds(3))
        let timer = try backend.expectTimer("reencrypt_worker_queue_seconds", [("script", "hand_back")])
        #expect(timer.values == [3_000_000])
    }

    @Test(.needs(.postgres))
    func aBatchIsTimedOnceWhateverItsRows() async throws {
        try await RotatedTable.with(rows: 900) { table in
            let backend = TestMetrics()
            let metrics = WorkerMetrics(tables: [table.name], factory: backend)
            try await table.work(on: ScriptedQueue(table.leases(3, of: 300)), metrics: metrics)
            for name in ["batch", "commit", "crypto"] {
                let timer = try backend.expectTimer("reencrypt_worker_\(name)_seconds")
                #expect(timer.values.count == 3)
                #expect(timer.values.allSatisfy { $0 > 0 })
            }
            let rewrapped = [("table", table.name), ("outcome", "rewrapped")]
            #expect(
                backend.counterTotal(label: "reencrypt_worker_records_total", dimensions: rewrapped) == 900)
        }
    }
}
