/// `ADDRESS:PORT`, where a server listens: `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:8080`. No address is not every
/// address: who wants to be seen from outside says so.
package struct ListenAddress: Sendable, Hashable {
    package let host: String
    /// 0 has the system choose.
    package let port: Int

    /// Everybody else on this machine, and nobody from elsewhere.
    package var isLoopback: Bool { ["127.0.0.1", "::1", "localhost"].contains(host) }

    package init(unchecked host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Nil for anything else.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.host = String(host)
        self.port = Int(port)
    }
}
