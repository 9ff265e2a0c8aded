/// The secret that opens the dashboard. Compared in a time that does not depend on where two texts differ.
package struct AccessToken: Sendable {
    private let bytes: [UInt8]

    /// Shorter ones can be tried out.
    package static let shortest = 16

    /// - Returns: nil for a text of fewer than 16 bytes, or with one that a cookie cannot hold (RFC 6265, 4.1.1).
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= Self.shortest, bytes.allSatisfy(Self.fitsCookie) else { return nil }
        self.bytes = bytes
    }

    func matches(_ offered: some StringProtocol) -> Bool {
        let offered = Array(offered.utf8)
        var difference = offered.count ^ bytes.count
        for index in bytes.indices {
            difference |= Int(bytes[index] ^ (index < offered.count ? offered[index] : 0))
        }
        return difference == 0
    }

    private static func fitsCookie(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && ![0x22, 0x2C, 0x3B, 0x5C].contains(byte)
    }
}
