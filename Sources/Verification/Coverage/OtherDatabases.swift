import Postgres

/// The databases of the server that a session with one of them does not reach.
enum OtherDatabases {
    /// `template0`, to which nobody can connect, holds nothing of an application.
    private static let statement = """
        SELECT datname FROM pg_catalog.pg_database
        WHERE datname <> pg_catalog.current_database() AND datallowconn ORDER BY datname
        """

    static func names(_ session: PostgresSession) throws(PostgresError) -> [String] {
        let result = try session.query(statement)
        var names: [String] = []
        for row in 0..<result.rowCount { names.append(try result.text(row, 0)) }
        return names
    }
}
