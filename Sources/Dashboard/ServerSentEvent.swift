import FoundationEssentials

/// One message of an event stream: a kind, and JSON on one line. Source: WHATWG HTML, 9.2.
enum ServerSentEvent {
    enum Kind: String, CaseIterable, Sendable {
        case history, log, samples, sample, picture, away
    }

    /// - Parameter json: without a line break, as encoders write it.
    static func text(_ kind: Kind, json: String) -> String {
        "event: \(kind.rawValue)\ndata: \(json)\n\n"
    }

    static func text(_ kind: Kind, _ value: some Encodable) throws -> String {
        text(kind, json: try json(value))
    }

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
