package import CoreMetrics

/// A backend of swift-metrics that keeps what it was described beforehand, and shows it as Prometheus scrapes it.
///
/// All series stand from the start, so that nothing grows and nobody waits for anybody: what has no description, or has
/// a label with a value that was not listed, is not kept at all.
package final class PrometheusRegistry: MetricsFactory {
    private struct Metric: Sendable {
        let description: MetricDescription
        let series: [(values: [String], series: Series)]
    }

    private let metrics: [Metric]

    package init(_ descriptions: [MetricDescription]) {
        metrics = descriptions.map { description in
            Metric(
                description: description,
                series: description.combinations.map { ($0, Series(description.kind)) })
        }
    }

    /// In the text-based exposition format.
    package var text: String {
        metrics.map { metric in
            var family = MetricFamily(metric.description)
            for (values, series) in metric.series {
                family.add(series, Array(zip(metric.description.labels.map(\.name), values)))
            }
            return family.text
        }.joined()
    }

    private func series(_ name: String, _ dimensions: [(String, String)]) -> Series? {
        guard let metric = metrics.first(where: { $0.description.name == name }),
            dimensions.count == metric.description.labels.count
        else { return nil }
        let values = metric.description.labels.compactMap { label in
            dimensions.first { $0.0 == label.name }?.1
        }
        // By their bytes, as Prometheus compares: two spellings of an accent are two names.
        return metric.series.first { $0.values.elementsEqual(values) { $0.utf8.elementsEqual($1.utf8) } }?
            .series
    }

    // MARK: Handlers, each asked for once by whoever records

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        if case .counter(let counter) = series(label, dimensions) { return counter }
        return NOOPMetricsHandler.instance
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        switch series(label, dimensions) {
        case .gauge(let gauge) where !aggregate: gauge
        case .histogram(let histogram) where aggregate: histogram
        default: NOOPMetricsHandler.instance
        }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        if case .histogram(let histogram) = series(label, dimensions) { return histogram }
        return NOOPMetricsHandler.instance
    }

    // There are as many series as were described; they end with the process.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}

extension MetricFamily {
    init(_ description: MetricDescription) {
        let kind: Kind =
            switch description.kind {
            case .counter: .counter
            case .gauge: .gauge
            case .histogram: .histogram
            }
        self.init(description.name, kind, description.help)
    }

    mutating func add(_ series: Series, _ labels: [(String, String)]) {
        switch series {
        case .counter(let counter): add(name, labels, Double(counter.value))
        case .gauge(let gauge):
            if let value = gauge.value { add(name, labels, value) }
        case .histogram(let histogram): add(histogram, labels)
        }
    }

    private mutating func add(_ histogram: HistogramValue, _ labels: [(String, String)]) {
        let distribution = histogram.value
        var count = 0
        for (bound, inBucket) in zip(histogram.bounds + [.infinity], distribution.counts) {
            count += inBucket
            add(name + "_bucket", labels + [("le", Self.text(bound))], Double(count))
        }
        add(name + "_sum", labels, distribution.sum)
        add(name + "_count", labels, Double(count))
    }
}
