/// Why a connection did not come about, from libpq's verbose message, its only source: there is no result
/// whose fields could be read. A wrong password (28P01) needs a person, a server that starts up (57P03)
/// needs time, and only the SQLSTATE tells them apart in every language of the server's messages.
struct ConnectionRefusal {
    /// Without the SQLSTATE and the place in the server's source.
    let message: String
    /// nil where no server answered, or where several hosts were tried and did not agree.
    let sqlState: SQLState?

    /// - Parameter verbose: parts divided by `; `, such as
    ///   `connection to server at "db" failed: FATAL:  28P01: no such user; LOCATION:  auth_failed, auth.c:1`.
    init(_ verbose: String) {
        var states: Set<String> = []
        var silent = false
        var kept: [String] = []
        for part in verbose.split(separator: "; ") where !part.hasPrefix("LOCATION:") {
            if let code = part.firstMatch(of: #/:  ([0-9A-Z]{5}): /#) {
                states.insert(String(code.1))
                kept.append(String(part.replacing(code.0, with: ": ", maxReplacements: 1)))
            } else {
                silent = silent || part.hasPrefix("connection to server")
                kept.append(String(part))
            }
        }
        message = kept.joined(separator: "; ")
        sqlState = states.count == 1 && !silent ? states.first.map { SQLState($0) } : nil
    }
}
