import Exposition
import Metrics
import Testing

/// What a backend of swift-metrics keeps and shows.
@Suite struct PrometheusRegistryTests {
    private let registry = PrometheusRegistry([
        MetricDescription(
            "m_records_total", .counter, "Records.", .init("table", ["a", "b"]), .init("outcome", ["x"])),
        MetricDescription("m_lanes", .gauge, "Lanes."),
        MetricDescription("m_seconds", .histogram([0.001, 0.25, 2]), "Seconds.", .init("script", ["s"])),
    ])

    @Test func countersBeginAtZeroAndGaugesAreUnknown() {
        #expect(
            registry.text == """
                # HELP m_records_total Records.
                # TYPE m_records_total counter
                m_records_total{table="a",outcome="x"} 0
                m_records_total{table="b",outcome="x"} 0
                # HELP m_seconds Seconds.
                # TYPE m_seconds histogram
                m_seconds_bucket{script="s",le="0.001"} 0
                m_seconds_bucket{script="s",le="0.25"} 0
                m_seconds_bucket{script="s",le="2"} 0
                m_seconds_bucket{script="s",le="+Inf"} 0
                m_seconds_sum{script="s"} 0
                m_seconds_count{script="s"} 0

                """)
    }

    @Test func countersRiseWhateverTheOrderOfLabels() {
        let dimensions = [("outcome", "x"), ("table", "b")]
        let counter = Counter(label: "m_records_total", dimensions: dimensions, factory: registry)
        counter.increment(by: 3)
        counter.increment()
        counter.increment(by: -2)
        Counter(label: "m_records_total", dimensions: dimensions, factory: registry).increment()
        #expect(registry.text.contains("m_records_total{table=\"b\",outcome=\"x\"} 5\n"))
        #expect(registry.text.contains("m_records_total{table=\"a\",outcome=\"x\"} 0\n"))
        counter.reset()
        #expect(registry.text.contains("m_records_total{table=\"b\",outcome=\"x\"} 0\n"))
    }

    @Test func aGaugeIsShownUntilItIsUnknownAgain() {
        let gauge = Gauge(label: "m_lanes", factory: registry)
        gauge.record(4)
        #expect(registry.text.contains("# TYPE m_lanes gauge\nm_lanes 4\n"))
        gauge.record(0.5)
        #expect(registry.text.contains("m_lanes 0.5\n"))
        gauge.record(Double.nan)
        #expect(!registry.text.contains("m_lanes"))
    }

    @Test func aTimersBucketsAreCumulativeAndInSeconds() {
        let timer = Timer(label: "m_seconds", dimensions: [("script", "s")], factory: registry)
        // A bound belongs to its bucket.
        for milliseconds in [1, 250, 251, 5_000] { timer.record(duration: .milliseconds(milliseconds)) }
        #expect(
            registry.text.hasSuffix(
                """
                m_seconds_bucket{script="s",le="0.001"} 1
                m_seconds_bucket{script="s",le="0.25"} 2
                m_seconds_bucket{script="s",le="2"} 3
                m_seconds_bucket{script="s",le="+Inf"} 4
                m_seconds_sum{script="s"} 5.502
                m_seconds_count{script="s"} 4

                """))
    }

    /// Libraries beneath us record too, and a label's values must stay the ones that were listed.
    @Test func whatHasNoDescriptionIsNotKept() {
        let before = registry.text
        Counter(label: "http_requests_total", factory: registry).increment()
        Counter(label: "m_records_total", factory: registry).increment()
        Counter(
            label: "m_records_total", dimensions: [("table", "c"), ("outcome", "x")], factory: registry
        ).increment()
        Counter(
            label: "m_records_total", dimensions: [("table", "a"), ("outcome", "x"), ("row", "7")],
            factory: registry
        ).increment()
        // Another kind than described.
        Counter(label: "m_lanes", factory: registry).increment()
        Timer(label: "m_lanes", factory: registry).recordNanoseconds(1)
        Gauge(label: "m_seconds", dimensions: [("script", "s")], factory: registry).record(1)
        Recorder(label: "m_lanes", factory: registry).record(1)
        #expect(registry.text == before)
    }

    @Test func nothingIsLostBetweenThreads() async {
        let counter = Counter(
            label: "m_records_total", dimensions: [("table", "a"), ("outcome", "x")], factory: registry)
        let timer = Timer(label: "m_seconds", dimensions: [("script", "s")], factory: registry)
        let registry = registry
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { @concurrent in
                    for _ in 0..<5_000 {
                        counter.increment()
                        timer.recordNanoseconds(500_000_000)
                    }
                }
                group.addTask { @concurrent in
                    for _ in 0..<20 {
                        // Whatever has come so far, the last bucket holds all of it.
                        let text = registry.text
                        let all = Self.value("m_seconds_bucket{script=\"s\",le=\"+Inf\"}", text)
                        #expect(all == Self.value("m_seconds_count{script=\"s\"}", text))
                        #expect(all * 0.5 == Self.value("m_seconds_sum{script=\"s\"}", text))
                    }
                }
            }
        }
        #expect(Self.value("m_records_total{table=\"a\",outcome=\"x\"}", registry.text) == 40_000)
        #expect(Self.value("m_seconds_count{script=\"s\"}", registry.text) == 40_000)
    }

    private static func value(_ series: String, _ text: String) -> Double {
        let line = text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line.flatMap { Double($0.dropFirst(series.count + 1)) } ?? -1
    }
}
