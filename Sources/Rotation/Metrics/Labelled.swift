import Metrics

/// One instrument for each value of a bounded label, all made at once.
struct Labelled<Value: Hashable & CaseIterable & RawRepresentable & Sendable, Instrument: Sendable>: Sendable
where Value.RawValue == String {
    private let instruments: [Value: Instrument]

    /// - Parameter make: is given the instrument's dimensions.
    init(_ label: String, _ make: ([(String, String)]) -> Instrument) {
        instruments = Dictionary(
            uniqueKeysWithValues: Value.allCases.map { ($0, make([(label, $0.rawValue)])) })
    }

    subscript(value: Value) -> Instrument? { instruments[value] }

    var all: [Instrument] { Array(instruments.values) }
}
