import FoundationEssentials
import Logging

/// Log lines on standard error: `2024-01-15T10:00:00Z INFO message key=value`, or one JSON object a line.
struct LineLogHandler: LogHandler {
    enum Format: String, CaseIterable {
        case text
        case json
    }

    let format: Format
    let console: Console
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(_ format: Format, level: Logger.Level, console: Console = .shared) {
        self.format = format
        self.console = console
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let merged = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        switch format {
        case .text:
            let pairs = merged.map { " \($0.key)=\(Self.quoted("\($0.value)"))" }.joined()
            let level = event.level.rawValue.uppercased()
            console.writeLine("\(Timestamp.now()) \(level) \(Self.oneLine("\(event.message)"))\(pairs)")
        case .json:
            var object = [
                "time": Timestamp.now(), "level": event.level.rawValue, "message": "\(event.message)",
            ]
            for (key, value) in merged { object[key] = "\(value)" }
            console.writeLine(Self.json(object))
        }
    }

    /// A message of several lines, or with control characters, must not look like several messages.
    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline || $0.asciiValue.map { $0 < 32 } == true ? " " : $0 })
    }

    private static func quoted(_ value: String) -> String {
        let line = oneLine(value)
        if !line.isEmpty, line.allSatisfy({ $0 != " " && $0 != "\"" && $0 != "=" }) { return line }
        return "\"" + line.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
            + "\""
    }

    private static func json(_ object: [String: String]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(object), as: UTF8.self)
        } catch {
            return "{\"level\":\"error\",\"message\":\"a log line could not be encoded\"}"
        }
    }
}
