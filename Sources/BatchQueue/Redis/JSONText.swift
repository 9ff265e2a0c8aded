import FoundationEssentials

/// JSON as text, for Redis.
enum JSONText {
    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}

extension EnumerationCursor {
    /// - Parameter json: empty or `null` for none.
    init?(json: String) throws {
        if json.isEmpty || json == "null" { return nil }
        self = try JSONText.decode(EnumerationCursor.self, json)
    }
}
