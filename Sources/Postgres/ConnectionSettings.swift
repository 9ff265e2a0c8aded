import CLibPQ

/// Where and how to connect: `DATABASE_URL`, or libpq's own `PG*` variables where it is absent. TLS
/// (`sslmode`, `sslrootcert`, …), service files and `.pgpass` are libpq's business.
package struct ConnectionSettings: Sendable {
    /// A connection URI or string. Holds a password: never logged.
    private let url: String?
    /// Shown in `pg_stat_activity`, so that an operator tells our sessions from the application's.
    package var applicationName: String
    /// From the first packet to a session that takes statements.
    package var connectTimeout: Duration = .seconds(10)
    /// The longest wait for one answer; above every `statement_timeout` that a session sets, so that the
    /// server speaks first.
    package var answerTimeout: Duration = .seconds(90)
    /// Whether a server that has been silent for five seconds is asked by another session (`SilenceProbe`).
    var probesSilence = true

    /// - Throws: `invalidSettings` where `url` does not parse. libpq's own message is left out, since it
    ///   quotes the part that it could not read, which may be the password.
    package init(url: String?, applicationName: String) throws(PostgresError) {
        self.url = url
        self.applicationName = applicationName
        guard let url else { return }
        var message: UnsafeMutablePointer<CChar>?
        let options = PQconninfoParse(url, &message)
        PQfreemem(message)
        guard let options else {
            throw PostgresError(
                .invalidSettings,
                "DATABASE_URL is neither a PostgreSQL connection URI nor a connection string; "
                    + "expected postgresql://user:password@host:port/database "
                    + "(percent-encode special characters of the password)")
        }
        PQconninfoFree(options)
    }

    /// The same settings under another application name.
    package func named(_ applicationName: String) -> ConnectionSettings {
        var copy = self
        copy.applicationName = applicationName
        return copy
    }

    /// libpq's keywords and values. A later `dbname` never applies: the URI's own parts win over `PG*`.
    var keywords: [(String, String)] {
        var pairs: [(String, String)] = []
        if let url { pairs.append(("dbname", url)) }
        pairs.append(("application_name", applicationName))
        pairs.append(("client_encoding", "UTF8"))
        return pairs
    }
}
