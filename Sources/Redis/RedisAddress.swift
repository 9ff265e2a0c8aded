/// Where a server listens.
package enum RedisAddress: Hashable, Sendable, CustomStringConvertible {
    /// `host` is a name, an IPv4 address, or an IPv6 address without brackets.
    case tcp(host: String, port: Int)
    case unix(path: String)

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }

    /// The name that a certificate must bear; a unix socket has none.
    var host: String? {
        if case .tcp(let host, _) = self { return host }
        return nil
    }
}

extension RedisAddress {
    /// Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port`; nil where it is none of them.
    init?(_ text: Substring, defaultPort: Int) {
        let host: Substring
        var rest: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
            guard host.contains(":"), Self.isAddress6(host) else { return nil }
        } else {
            host = text.prefix { $0 != ":" }
            rest = text[host.endIndex...]
            guard Self.isName(host) else { return nil }
        }
        if rest.isEmpty {
            self = .tcp(host: String(host), port: defaultPort)
            return
        }
        guard rest.removeFirst() == ":", let port = Self.port(rest) else { return nil }
        self = .tcp(host: String(host), port: port)
    }

    /// Reads host and port as servers send them, in two strings; IPv6 comes without brackets.
    init?(host: Substring, port: Substring) {
        guard Self.isName(host) || Self.isAddress6(host), let port = Self.port(port) else { return nil }
        self = .tcp(host: String(host), port: port)
    }

    static func port(_ text: Substring) -> Int? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(text), (1...65535).contains(port)
        else { return nil }
        return port
    }

    /// Letters, digits, dots, hyphens and underscores: a DNS name or an IPv4 address.
    private static func isName(_ text: Substring) -> Bool {
        (1...253).contains(text.utf8.count) && text.utf8.first != 0x2D
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
                default: false
                }
            }
    }

    private static func isAddress6(_ text: Substring) -> Bool {
        (2...45).contains(text.utf8.count) && text.contains(":")
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x46, 0x61...0x66, 0x2E, 0x3A: true
                default: false
                }
            }
    }
}
