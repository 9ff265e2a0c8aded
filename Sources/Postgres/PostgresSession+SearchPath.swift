/// Where names of our own statements are looked up: in `pg_catalog`, and last among temporary objects.
///
/// A role that may create objects in a schema of the role's own path could otherwise define a function or an operator that
/// fits our statements better than PostgreSQL's, and it would run with our rights (CVE-2018-1058). So a session has the
/// safe path from its first statement on, which is qualified itself. Two kinds of names belong to the application, and
/// are looked up under its own path: those of the catalog file, and those in the bodies of its triggers, constraints
/// and indexes, which run with our UPDATE.
extension PostgresSession {
    package static let safePath = "pg_catalog, pg_temp"

    /// Changes the path until the transaction ends; `$1`: the path. Safe under any path.
    package static let setLocalPath = PreparedStatement(
        name: "local_path", sql: "SELECT pg_catalog.set_config('search_path', $1, true)")

    /// Gives the session its path, and a life of its own. Statements are not compiled: those over the system catalogs
    /// look dear to the planner, and compiling one takes ten times as long as running it.
    /// - Returns: the path that it had.
    func settle() throws(PostgresError) -> String {
        var none = QueryParameters()
        try send(
            """
            SELECT pg_catalog.current_setting('search_path'), pg_catalog.set_config('jit', 'off', false)
            """, &none)
        try send("SET search_path = \(Self.safePath)", &none)
        // A default of the role or the database would end a session that waits for another one of ours.
        if serverVersion >= 140_000 { try send("SET idle_session_timeout = 0", &none) }
        try submit()
        guard let path = try collect().first else {
            throw PostgresError(.unexpectedAnswer, "the server did not say what its search_path is")
        }
        return try path.text(0, 0)
    }

    /// The schemas that the role's path leads to at this moment, in order, those that it implies included.
    package func schemasOfRolePath() throws(PostgresError) -> [String] {
        let before = try path()
        try setPath(rolePath)
        let result = try query(
            """
            SELECT n.name FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS n (name, i) \
            ORDER BY n.i
            """)
        try setPath(before)
        return try (0..<result.rowCount).map { row throws(PostgresError) in try result.text(row, 0) }
    }

    /// Runs `body` under the role's path: for statements of the operator's, and for ours where nothing in them is
    /// looked up by name and the application's code runs. The path is what it was afterwards.
    @discardableResult
    package func underRolePath<R>(_ body: () throws -> R) throws -> R {
        let before = try path()
        try setPath(rolePath)
        let value: R
        do {
            value = try body()
        } catch {
            do throws(PostgresError) {
                try setPath(before)
            } catch {
                // In a transaction that has failed: its end gives the path back.
            }
            throw error
        }
        try setPath(before)
        return value
    }

    private func path() throws(PostgresError) -> String {
        try query("SELECT pg_catalog.current_setting('search_path')").text(0, 0)
    }

    private func setPath(_ path: String) throws(PostgresError) {
        var parameters = QueryParameters()
        parameters.append(text: path)
        try query("SELECT pg_catalog.set_config('search_path', $1, false)", parameters)
    }
}
