import Envelope

/// The key ids that envelopes inside a larger value name: in plain letters, behind any number of quotes and
/// backslashes, or in the hexadecimal text form of a `bytea`.
enum EmbeddedKeyIDs {
    private static let member = Array("key_id".utf8)
    private static let memberInHex = Array("6b65795f6964".utf8)
    private static let quotes: Set<UInt8> = [UInt8(ascii: "\""), UInt8(ascii: "\\")]
    private static let between = quotes.union(" \t\r\n:".utf8)
    /// Bytes behind a member's name in which its value begins and ends.
    private static let reach = 160

    static func ids(in value: UnsafeRawBufferPointer) -> Set<String> {
        var ids: Set<String> = []
        for start in ends(of: member, in: value) {
            if let id = id(in: value[start..<min(start + reach, value.count)]) { ids.insert(id) }
        }
        for start in ends(of: memberInHex, in: value) {
            let bytes = decoded(value[start..<min(start + 2 * reach, value.count)])
            if let id = id(in: bytes[...]) { ids.insert(id) }
        }
        return ids
    }

    /// The id between a name's end and the quote behind the id.
    private static func id(in bytes: some BidirectionalCollection<UInt8>) -> String? {
        let rest = bytes.drop { between.contains($0) }
        let text = rest.prefix { !quotes.contains($0) }
        guard text.endIndex != rest.endIndex else { return nil }
        return KeyID(bytes: text)?.description
    }

    private static func ends(of pattern: [UInt8], in value: UnsafeRawBufferPointer) -> [Int] {
        guard value.count >= pattern.count else { return [] }
        return (0...(value.count - pattern.count)).filter { offset in
            value[offset] == pattern[0]
                && value[offset..<(offset + pattern.count)].elementsEqual(pattern)
        }.map { $0 + pattern.count }
    }

    /// As far as there are pairs of hexadecimal digits.
    private static func decoded(_ digits: Slice<UnsafeRawBufferPointer>) -> [UInt8] {
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = Character(UnicodeScalar(digit)).hexDigitValue.flatMap({ UInt8(exactly: $0) })
            else { break }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}
