import BatchQueue
import Metrics
import MetricsTestKit
import Rotation
import Testing
import Verification

/// What a coordinator shows of its job, and that it shows nothing of another's.
@Suite struct CoordinatorMetricsTests {
    private let backend = TestMetrics()
    private let metrics: CoordinatorMetrics

    init() {
        metrics = CoordinatorMetrics(tables: ["t", "u"], factory: backend)
    }

    private func value(_ name: String, _ dimensions: [(String, String)] = []) throws -> Double? {
        try backend.expectGauge("reencrypt_coordinator_\(name)", dimensions).lastValue
    }

    private var expiries: Int64 {
        backend.counterTotal(label: "reencrypt_coordinator_lease_expiries_total")
    }

    private func progress(done: Int, leased: Int = 0) -> JobProgress {
        var progress = JobProgress()
        progress.recordsRewrapped = done
        progress.batchesLeased = leased
        return progress
    }

    @Test func expiriesBeforeTheFirstLookAreNotItsOwn() {
        var observer = QueueObserver(metrics, ofNewJob: false)
        observer.observe(progress(done: 0), isPaused: false, leaseExpiries: 7)
        #expect(expiries == 0)
        observer.observe(progress(done: 0), isPaused: false, leaseExpiries: 9)
        #expect(expiries == 2)
        // The queue lost its data, and two more ran out.
        observer.observe(progress(done: 0), isPaused: false, leaseExpiries: 2)
        #expect(expiries == 4)
    }

    @Test func progressIsAChange() throws {
        var observer = QueueObserver(metrics, ofNewJob: false)
        let last = "reencrypt_coordinator_last_progress_timestamp_seconds"
        observer.observe(progress(done: 5, leased: 3), isPaused: true, leaseExpiries: 0)
        observer.observe(progress(done: 5, leased: 3), isPaused: true, leaseExpiries: 0)
        #expect(try backend.expectGauge(last).values.isEmpty)
        #expect(try value("batches", [("state", "leased")]) == 3)
        #expect(try value("paused") == 1)
        observer.observe(progress(done: 6), isPaused: false, leaseExpiries: 0)
        #expect(try backend.expectGauge(last).values.count == 1)
        #expect(try value("batches", [("state", "leased")]) == 0)
        #expect(try value("paused") == 0)
    }

    @Test func ofANewJobEverythingIsItsOwn() throws {
        var observer = QueueObserver(metrics, ofNewJob: true)
        observer.observe(progress(done: 5), isPaused: false, leaseExpiries: 2)
        #expect(expiries == 2)
        let last = "reencrypt_coordinator_last_progress_timestamp_seconds"
        #expect(try backend.expectGauge(last).values.count == 1)
    }

    @Test func onlyTheLimitThatHoldsIsNamed() throws {
        metrics.isThrottled(by: .lockWaits)
        metrics.isThrottled(by: .standbyLag)
        for cause in ThrottleCause.allCases {
            #expect(try value("throttled", [("reason", cause.rawValue)]) == (cause == .standbyLag ? 1 : 0))
        }
    }

    @Test func aCensusSaysWhatRemainsOfEachTable() throws {
        var census = Census()
        census.add(5, table: "t", column: "c", label: .key("kek-v1"))
        census.add(2, table: "t", column: "d", label: .unreadable)
        census.add(9, table: "t", column: "c", label: .key("kek-v2"))
        metrics.remains(census, target: "kek-v2")
        #expect(try value("remaining_records", [("table", "t")]) == 7)
        #expect(try value("remaining_records", [("table", "u")]) == 0)
    }

    @Test func aProcessThatDoesNotLeadShowsNothing() throws {
        var observer = QueueObserver(metrics, ofNewJob: false)
        metrics.leads()
        observer.observe(progress(done: 0), isPaused: false, leaseExpiries: 0)
        observer.observe(progress(done: 1), isPaused: false, leaseExpiries: 0)
        metrics.remains(Census(), target: "kek-v2")
        #expect(try value("leading") == 1)
        metrics.waitsForTheLead()
        #expect(try value("leading") == 0)
        for gauge in backend.recorders where gauge.label != "reencrypt_coordinator_leading" {
            #expect(try #require(gauge.lastValue).isNaN, "\(gauge.label)")
        }
    }
}
