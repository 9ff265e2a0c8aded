/// What a metric is called, how it is kept, and every label that it may ever carry.
///
/// Source: Prometheus' rules for names and labels. A name ends in its unit, or in `_total` where it counts; a label has
/// few values, all of which are known beforehand.
package struct MetricDescription: Sendable {
    package enum Kind: Sendable {
        case counter
        case gauge
        /// Upper bounds in ascending order, in the metric's unit; `+Inf` comes by itself.
        case histogram([Double])
    }

    package struct Label: Sendable {
        let name: String
        let values: [String]

        package init(_ name: String, _ values: [String]) {
            self.name = name
            self.values = values
        }
    }

    let name: String
    let kind: Kind
    let help: String
    let labels: [Label]

    package init(_ name: String, _ kind: Kind, _ help: String, _ labels: Label...) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
    }

    /// The values of all series, each in the order of `labels`.
    var combinations: [[String]] {
        labels.reduce([[]]) { combinations, label in
            combinations.flatMap { begun in label.values.map { begun + [$0] } }
        }
    }
}
