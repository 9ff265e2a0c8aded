/// What went wrong on a connection. `description` is safe to log: it holds the server's primary message,
/// never its detail or context, where PostgreSQL puts the contents of rows.
package struct PostgresError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String

        /// `DATABASE_URL` or a `PG*` variable does not parse.
        package static let invalidSettings = Code(description: "invalid settings")
        /// No connection came about: host, port, credentials, TLS, or the connect time-out.
        package static let connectionFailed = Code(description: "cannot connect")
        /// The connection broke while in use. What was sent last may or may not have been committed.
        package static let connectionLost = Code(description: "connection lost")
        /// The server did not answer within the deadline; the connection is closed.
        package static let timedOut = Code(description: "no answer in time")
        /// The server answered with an error; see `sqlState`.
        package static let server = Code(description: "server error")
        /// An answer has another shape than the statement can have.
        package static let unexpectedAnswer = Code(description: "unexpected answer")
    }

    package let code: Code
    package let sqlState: SQLState?
    package let message: String
    /// The constraint that was violated, where the server names one.
    package let constraint: String?
    package let file: String
    package let line: Int

    package init(
        _ code: Code, _ message: String, sqlState: SQLState? = nil, constraint: String? = nil,
        file: String = #fileID, line: Int = #line
    ) {
        self.code = code
        self.message = message
        self.sqlState = sqlState
        self.constraint = constraint
        self.file = file
        self.line = line
    }

    package var isRetriable: Bool {
        if let sqlState { return sqlState.isRetriable }
        return code == .connectionFailed || code == .connectionLost || code == .timedOut
    }

    package var needsOperator: Bool {
        if let sqlState { return sqlState.needsOperator }
        return code == .invalidSettings || code == .unexpectedAnswer
    }

    /// The session that threw this cannot be used again; connect anew.
    package var breaksConnection: Bool {
        if code == .connectionLost || code == .connectionFailed || code == .timedOut { return true }
        guard let sqlState else { return false }
        return sqlState.classCode == "08"
            || ["57P01", "57P02", "57P03", "57P05", "25P03"].contains(sqlState.code)
    }

    package var description: String {
        let state = sqlState.map { " (SQLSTATE \($0))" } ?? ""
        return "\(code): \(message)\(state)"
    }
}
