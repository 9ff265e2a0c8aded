/// A position in the write-ahead log, by its text form `16/B374D848`.
struct LogPosition: Sendable, Hashable, Comparable {
    private let value: UInt64

    /// Nil for what is no position.
    init?(_ text: String) {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, let high = Self.half(halves[0]), let low = Self.half(halves[1]) else {
            return nil
        }
        value = UInt64(high) << 32 | UInt64(low)
    }

    private static func half(_ text: Substring) -> UInt32? {
        text.allSatisfy(\.isHexDigit) ? UInt32(text, radix: 16) : nil
    }

    static func < (left: LogPosition, right: LogPosition) -> Bool { left.value < right.value }
}
