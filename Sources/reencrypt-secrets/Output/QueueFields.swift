import BatchQueue
import Redis

/// The fields of a hash on Redis for a person's eyes: what is unknown is nil, and whoever may write to Redis cannot steer
/// the terminal.
struct QueueFields {
    private let fields: [String: String]

    init(_ fields: [String: String]) { self.fields = fields }

    /// Nil for the empty text, which stands for the unknown.
    subscript(name: String) -> String? {
        fields[name].flatMap { $0.isEmpty ? nil : PrintableText.plain($0) }
    }

    /// 0 where it is unknown; never so large that a sum overflows.
    func number(_ name: String) -> Int { QueueCounter.bounded(fields[name]) }

    /// Of the hash `progress`: how long it takes still. Nil where nobody can tell.
    var timeLeft: String? {
        self["eta_seconds"].flatMap { Int($0) }.map { Quantity.duration(.seconds($0)) }
    }
}
