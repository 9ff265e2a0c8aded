/// What went wrong on a connection. `description` is safe to log: it holds neither password nor URL, no
/// arguments of a command, and no control characters of a hostile server.
package struct RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String

        /// `REDIS_URL` does not parse, or names a file or a master that does not exist.
        package static let invalidSettings = Code(description: "invalid settings")
        /// No connection came about: host, port, TLS, no master, or the connect time-out.
        package static let connectionFailed = Code(description: "cannot connect")
        /// The certificate of the server was refused. Waiting does not help.
        package static let untrustedServer = Code(description: "server not trusted")
        /// The connection broke while in use, or was found broken before use.
        package static let connectionLost = Code(description: "connection lost")
        /// The server did not answer within the deadline; the connection is closed.
        package static let timedOut = Code(description: "no answer in time")
        /// The server answered with an error; see `answer`.
        package static let server = Code(description: "server error")
        /// The nodes of a cluster sent us in circles.
        package static let redirectionsExhausted = Code(description: "too many redirections")
        /// An answer that is no RESP2, or has another shape than the command's answer can have.
        package static let unexpectedAnswer = Code(description: "unexpected answer")
        /// An answer exceeds `RedisSettings.replyLimit`; the connection is closed.
        package static let replyTooLarge = Code(description: "answer too large")
        /// Too old, or set up so that it may lose the queue.
        package static let unsupportedServer = Code(description: "unsupported server")
    }

    package let code: Code
    /// The code of the server's error answer; only where `code` is `server`.
    package let answer: RedisErrorCode?
    package let message: String
    /// Whether the command may have taken effect all the same. False means that it certainly has not: its
    /// last byte never left, or the server refused it before it ran. For an error inside a script it is
    /// true, since Redis does not take back what the script did before.
    package let mayHaveExecuted: Bool
    package let file: String
    package let line: Int

    package init(
        _ code: Code, _ message: String, answer: RedisErrorCode? = nil, mayHaveExecuted: Bool = false,
        file: String = #fileID, line: Int = #line
    ) {
        self.code = code
        self.answer = answer
        self.message = message
        self.mayHaveExecuted = mayHaveExecuted
        self.file = file
        self.line = line
    }

    /// The same error for a command that may or may not have taken effect.
    func marked(mayHaveExecuted: Bool) -> RedisError {
        RedisError(
            code, message, answer: answer, mayHaveExecuted: mayHaveExecuted, file: file, line: line)
    }

    /// Trying again later may succeed. Whether the first try may have taken effect is another question:
    /// `mayHaveExecuted`.
    package var isRetriable: Bool {
        if let answer { return answer.isRetriable }
        return code == .connectionFailed || code == .connectionLost || code == .timedOut
            || code == .redirectionsExhausted
    }

    /// The session that threw this cannot be used again; connect anew.
    package var breaksConnection: Bool {
        if let answer { return answer.breaksConnection }
        return code == .connectionLost || code == .connectionFailed || code == .timedOut
            || code == .untrustedServer || code == .replyTooLarge
    }

    package var description: String { "\(code): \(message)" }
}

extension RedisError {
    /// An error answer of the server.
    static func ofAnswer(
        _ text: UnsafeRawBufferPointer, file: String = #fileID, line: Int = #line
    ) -> RedisError {
        let message = PrintableText.line(text, limit: 300)
        let code = RedisErrorCode(ofAnswer: message)
        return RedisError(
            .server, PrintableText.withoutArguments(message), answer: code, file: file, line: line)
    }

    static func unexpected(_ message: String, file: String = #fileID, line: Int = #line) -> RedisError {
        RedisError(.unexpectedAnswer, message, mayHaveExecuted: true, file: file, line: line)
    }
}
