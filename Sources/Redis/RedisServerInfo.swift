/// What `INFO` says about a server, and whether the queue can live there.
package struct RedisServerInfo: Sendable, Equatable, CustomStringConvertible {
    /// `Redis` or `Valkey`.
    package let product: String
    package let version: String
    /// What the server does when its memory is full; nil where it does not say.
    package let memoryPolicy: String?

    package var description: String { "\(product) \(version)" }

    package init(ofAnswers text: String) throws(RedisError) {
        var fields: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        let isValkey = fields["valkey_version"] != nil || fields["server_name"] == "valkey"
        guard let version = fields["valkey_version"] ?? fields["redis_version"] else {
            throw RedisError(.unexpectedAnswer, "INFO names no redis_version; is this a Redis server?")
        }
        product = isValkey ? "Valkey" : "Redis"
        self.version = PrintableText.short(String(version))
        memoryPolicy = fields["maxmemory_policy"].map { PrintableText.short(String($0)) }
    }

    /// - Throws: `unsupportedServer`, with its name and the oldest version that will do.
    package func requireVersion() throws(RedisError) {
        if product == "Valkey" { return }
        let parts = version.split(separator: ".").map { Int($0) ?? 0 }
        guard let major = parts.first, (major, parts.count > 1 ? parts[1] : 0) >= (6, 2) else {
            throw RedisError(
                .unsupportedServer,
                "\(description) is too old; needed is Redis 6.2 or newer, or Valkey: upgrade the server, "
                    + "or set REDIS_URL to another")
        }
    }

    /// - Throws: `unsupportedServer` where the server may drop keys of the queue when its memory is full.
    package func requireNoEviction() throws(RedisError) {
        guard memoryPolicy == "noeviction" else {
            throw RedisError(
                .unsupportedServer,
                "the server's maxmemory-policy is \(memoryPolicy ?? "unknown"), so it may drop parts of the "
                    + "queue; run `redis-cli CONFIG SET maxmemory-policy noeviction`, and set it in its "
                    + "configuration")
        }
    }
}

extension RedisSession {
    /// Asks the server for its version and its memory policy.
    package func serverInfo() throws(RedisError) -> RedisServerInfo {
        let server = try command(["INFO", "server"]).text()
        let memory = try command(["INFO", "memory"]).text()
        return try RedisServerInfo(ofAnswers: server + "\n" + memory)
    }

    /// What is checked at the start of every command that uses the queue.
    /// - Throws: `unsupportedServer`, with the mend.
    @discardableResult
    package func requireSupportedServer() throws(RedisError) -> RedisServerInfo {
        let info = try serverInfo()
        try info.requireVersion()
        try info.requireNoEviction()
        return info
    }
}
