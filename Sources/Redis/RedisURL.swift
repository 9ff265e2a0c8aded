/// `REDIS_URL`, cut into its parts. No error quotes any of them: a password with an unescaped `/`, `?` or
/// `@` lands in the part where nobody expects it.
struct RedisURL {
    enum Scheme: String, CaseIterable {
        case plain = "redis"
        case tls = "rediss"
        case unix = "unix"
        case sentinel = "redis+sentinel"
        case tlsSentinel = "rediss+sentinel"

        /// The form that a message shows.
        var form: String {
            switch self {
            case .plain: "redis://[[user]:password@]host[:port][/db]"
            case .tls: "rediss://[[user]:password@]host[:port][/db][?ca_file=…&cert_file=…&key_file=…]"
            case .unix: "unix://[[user]:password@]/path/to/socket[?db=N]"
            case .sentinel: "redis+sentinel://[[user]:password@]host1[:26379],host2…/master-name[/db]"
            case .tlsSentinel: "rediss+sentinel://[[user]:password@]host1[:26379],host2…/master-name[/db]"
            }
        }
    }

    let scheme: Scheme
    let credentials: RedisCredentials?
    /// Host and port, or several of them.
    let authority: Substring
    /// From the first `/` on, or empty. Still encoded.
    let path: Substring
    /// Decoded; each name once.
    let parameters: [String: String]

    init(_ text: String) throws(RedisError) {
        guard let colon = text.firstIndex(of: ":"),
            let scheme = Scheme(rawValue: text[..<colon].lowercased()),
            text[colon...].hasPrefix("://")
        else {
            let forms = Scheme.allCases.map(\.form).joined(separator: ", ")
            throw RedisError(.invalidSettings, "REDIS_URL begins with no known scheme; expected \(forms)")
        }
        self.scheme = scheme
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw scheme.fault("it holds white space or characters outside ASCII")
        }
        var rest = text[colon...].dropFirst(3)
        guard !rest.contains("#") else { throw scheme.fault("it holds a '#', which has no meaning here") }
        var query: Substring?
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        var authority = rest.prefix { $0 != "/" }
        path = rest[authority.endIndex...]
        if let at = authority.lastIndex(of: "@") {
            credentials = try Self.credentials(authority[..<at], scheme)
            authority = authority[authority.index(after: at)...]
        } else {
            credentials = nil
        }
        self.authority = authority
        parameters = try query.map { query throws(RedisError) in try Self.parameters(query, scheme) } ?? [:]
    }

    private static func credentials(_ text: Substring, _ scheme: Scheme) throws(RedisError)
        -> RedisCredentials
    {
        guard !text.contains("@") else { throw scheme.fault("user or password holds an '@'") }
        let encodedUser = text.prefix { $0 != ":" }
        guard let user = PercentEncoding.decode(encodedUser),
            let password = PercentEncoding.decode(text[encodedUser.endIndex...].dropFirst())
        else { throw scheme.fault("user or password has a wrong percent-encoding") }
        guard !user.isEmpty || !password.isEmpty else { throw scheme.fault("user and password are empty") }
        return RedisCredentials(user: user.isEmpty ? nil : user, password: password)
    }

    private static func parameters(_ query: Substring, _ scheme: Scheme) throws(RedisError)
        -> [String: String]
    {
        var parameters: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let name = pair.prefix { $0 != "=" }
            let value = pair[name.endIndex...].dropFirst()
            guard let value = PercentEncoding.decode(value), !value.isEmpty else {
                throw scheme.fault("a query parameter has no value or a wrong percent-encoding")
            }
            guard parameters.updateValue(value, forKey: String(name)) == nil else {
                throw scheme.fault("a query parameter stands twice")
            }
        }
        return parameters
    }
}

extension RedisURL.Scheme {
    func fault(_ rule: String, file: String = #fileID, line: Int = #line) -> RedisError {
        RedisError(
            .invalidSettings,
            "REDIS_URL: \(rule); expected \(form), special characters in user and password percent-encoded",
            file: file, line: line)
    }
}
