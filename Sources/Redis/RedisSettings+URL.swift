extension RedisSettings {
    /// Reads `REDIS_URL`.
    /// - Throws: `invalidSettings`, naming the part that is wrong and the expected form, and nothing of the
    ///   URL itself.
    package init(url text: String, clientName: String = "reencrypt-secrets") throws(RedisError) {
        let url = try RedisURL(text)
        var parameters = url.parameters
        let target: Target
        let database: Substring
        switch url.scheme {
        case .plain, .tls:
            guard let address = RedisAddress(url.authority, defaultPort: 6379) else {
                throw url.scheme.fault("host or port (1 to 65535) is not well formed")
            }
            target = .server(address)
            database = url.path.dropFirst()
        case .unix:
            target = .server(.unix(path: try Self.socketPath(of: url)))
            database = parameters.removeValue(forKey: "db").map { $0[...] } ?? ""
        case .sentinel, .tlsSentinel:
            let master: Substring
            (master, database) = try Self.masterAndDatabase(of: url)
            guard let name = PercentEncoding.decode(master), !name.isEmpty else {
                throw url.scheme.fault("the master's name is missing or has a wrong percent-encoding")
            }
            target = .sentinels(try Self.sentinels(of: url), master: name)
        }
        self.init(target, clientName: clientName)
        self.database = try Self.database(database, url.scheme)
        credentials = url.credentials
        if url.scheme == .sentinel || url.scheme == .tlsSentinel {
            sentinelCredentials = try Self.sentinelCredentials(from: &parameters, url.scheme)
        }
        if url.scheme == .tls || url.scheme == .tlsSentinel {
            tls = try Self.tls(from: &parameters, url.scheme)
        }
        guard parameters.isEmpty else {
            throw url.scheme.fault("it has an unknown query parameter; \(url.scheme.knownParameters)")
        }
    }

    private static func socketPath(of url: RedisURL) throws(RedisError) -> String {
        guard url.authority.isEmpty else { throw url.scheme.fault("a host stands before the socket's path") }
        guard let path = PercentEncoding.decode(url.path), path.utf8.count > 1 else {
            throw url.scheme.fault("the socket's path is missing or has a wrong percent-encoding")
        }
        guard path.utf8.count <= SocketAddress.longestPath else {
            throw url.scheme.fault("the socket's path exceeds \(SocketAddress.longestPath) bytes")
        }
        return path
    }

    private static func masterAndDatabase(of url: RedisURL) throws(RedisError) -> (Substring, Substring) {
        let parts = url.path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard let master = parts.first, parts.count <= 2 else {
            throw url.scheme.fault("the path is not a master's name and a database number")
        }
        return (master, parts.count == 2 ? parts[1] : "")
    }

    private static func sentinels(of url: RedisURL) throws(RedisError) -> [RedisAddress] {
        var addresses: [RedisAddress] = []
        for text in url.authority.split(separator: ",", omittingEmptySubsequences: false) {
            guard let address = RedisAddress(text, defaultPort: 26379) else {
                throw url.scheme.fault("host or port (1 to 65535) of a sentinel is not well formed")
            }
            addresses.append(address)
        }
        return addresses
    }

    private static func database(_ text: Substring, _ scheme: RedisURL.Scheme) throws(RedisError) -> Int {
        if text.isEmpty { return 0 }
        guard text.utf8.count <= 9, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(text)
        else { throw scheme.fault("the database is not a number") }
        return number
    }

    private static func sentinelCredentials(
        from parameters: inout [String: String], _ scheme: RedisURL.Scheme
    ) throws(RedisError) -> RedisCredentials? {
        let user = parameters.removeValue(forKey: "sentinel_user")
        guard let password = parameters.removeValue(forKey: "sentinel_password") else {
            if user != nil { throw scheme.fault("sentinel_user stands without sentinel_password") }
            return nil
        }
        return RedisCredentials(user: user, password: password)
    }

    private static func tls(
        from parameters: inout [String: String], _ scheme: RedisURL.Scheme
    ) throws(RedisError) -> TLSSettings {
        var tls = TLSSettings()
        tls.authorityFile = parameters.removeValue(forKey: "ca_file")
        tls.authorityFolder = parameters.removeValue(forKey: "ca_dir")
        tls.certificateFile = parameters.removeValue(forKey: "cert_file")
        tls.keyFile = parameters.removeValue(forKey: "key_file")
        if tls.keyFile != nil && tls.certificateFile == nil {
            throw scheme.fault("key_file stands without cert_file")
        }
        return tls
    }
}

extension RedisURL.Scheme {
    fileprivate var knownParameters: String {
        switch self {
        case .plain: "it takes none (TLS needs rediss://)"
        case .tls: "it takes ca_file, ca_dir, cert_file and key_file"
        case .unix: "it takes db"
        case .sentinel: "it takes sentinel_user and sentinel_password"
        case .tlsSentinel: "it takes ca_file, ca_dir, cert_file, key_file, sentinel_user, sentinel_password"
        }
    }
}
