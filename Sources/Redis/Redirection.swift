/// Where a node of a cluster sends us: `MOVED 3999 10.0.0.7:6381`, for good, or `ASK …`, for once.
struct Redirection: Equatable {
    let isPermanent: Bool
    let address: RedisAddress

    /// Nil where `error` is no redirection.
    /// - Parameter current: the node that sent it; an empty host means its own.
    /// - Throws: `unexpectedAnswer` where the address is not well formed.
    init?(_ error: RedisError, from current: RedisAddress) throws(RedisError) {
        guard error.answer == .moved || error.answer == .ask else { return nil }
        isPermanent = error.answer == .moved
        let words = error.message.split(separator: " ")
        guard words.count == 3, let colon = words[2].lastIndex(of: ":") else { throw Self.malformed }
        let port = words[2][words[2].index(after: colon)...]
        var host = words[2][..<colon]
        if host.first == "[" && host.last == "]" { host = host.dropFirst().dropLast() }
        if host.isEmpty || host == "?" { host = (current.host ?? "127.0.0.1")[...] }
        guard let address = RedisAddress(host: host, port: port) else { throw Self.malformed }
        self.address = address
    }

    private static var malformed: RedisError {
        RedisError(.unexpectedAnswer, "a redirection names no address")
    }
}
