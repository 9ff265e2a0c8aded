import FoundationEssentials

/// A range as a message: one JSON object, whose first two members, generation and sequence number, are
/// Redis's to give; the rest, from the first brace on left out, is called its body.
enum BatchMessage {
    static func body(_ range: BatchRange) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(String(decoding: try encoder.encode(range), as: UTF8.self).dropFirst())
    }

    /// - Throws: where the text is no range; the script that gave it has checked where it comes from.
    static func range(_ message: [UInt8]) throws -> BatchRange {
        let range = try JSONDecoder().decode(BatchRange.self, from: Data(message))
        // Numbers that nobody hands out must not overflow what counts them.
        guard (0...1 << 31).contains(range.records), (0...1 << 31).contains(range.rows) else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: [], debugDescription: "no number of records"))
        }
        return range
    }
}

/// A failed record as dashboards read it: `["table", id, "column"]` → `{reason, key_id, at}`, with what it
/// takes to hand it out again.
struct FailureEntry: Codable {
    let reason: String
    let keyID: String?
    /// ms since the epoch.
    let at: Int64
    let range: BatchRange?
    let records: Int
    /// The whole range was given up.
    let dead: Bool?

    enum CodingKeys: String, CodingKey {
        case reason, at, range, records, dead
        case keyID = "key_id"
    }

    static func field(_ failure: RecordFailure) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        let id =
            failure.id.count == 1
            ? try encoder.encode(failure.id[0]) : try encoder.encode(failure.id)
        let parts = [try encoder.encode(failure.table), id, try encoder.encode(failure.column)]
        return "[" + parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",") + "]"
    }

    static func value(_ failure: RecordFailure, records: Int = 1, isDead: Bool = false) throws -> String {
        var range = failure.range
        range?.records = records
        let entry = FailureEntry(
            reason: failure.reason, keyID: failure.keyID, at: WallClock.milliseconds, range: range,
            records: records, dead: isDead ? true : nil)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(entry), as: UTF8.self)
    }
}
