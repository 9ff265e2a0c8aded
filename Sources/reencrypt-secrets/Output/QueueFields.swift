/// The fields of a hash on Redis for a person's eyes: what is unknown is nil, and whoever may write to Redis cannot steer
/// the terminal.
struct QueueFields {
    private let fields: [String: String]

    init(_ fields: [String: String]) { self.fields = fields }

    /// Nil for the empty text, which stands for the unknown.
    subscript(name: String) -> String? {
        fields[name].flatMap { $0.isEmpty ? nil : Self.plain($0) }
    }

    /// 0 where it is unknown; never so large that a sum overflows.
    func number(_ name: String) -> Int { min(max(0, fields[name].flatMap { Int($0) } ?? 0), 1 << 53) }

    /// With a space for every control character.
    static func plain(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: " "
                    default: scalar
                    }
                }))
    }
}
