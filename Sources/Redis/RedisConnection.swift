import BlockingIO

/// A session behind an actor on a thread of its own. It connects at the first call and again after an
/// error that ended the session; waiting between tries is the caller's business (`RedisError.isRetriable`).
package actor RedisConnection {
    private let thread = ConnectionThread()
    private let settings: RedisSettings
    private var session: RedisSession?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    package init(_ settings: RedisSettings) {
        self.settings = settings
    }

    /// Runs `body` with the session, connecting first where there is none. `body` is synchronous, so no
    /// other caller comes in between its commands.
    ///
    /// Where a session left from an earlier call turns out to be dead before `body` has sent anything, a
    /// new one is dialled and `body` runs once more; nothing has reached a server until then.
    package func perform<R: Sendable>(_ body: @Sendable (RedisSession) throws -> R) throws -> R {
        if let session {
            let sentBefore = session.bytesSent
            do {
                return try run(body, in: session)
            } catch let error as RedisError where error.code == .connectionLost && !error.mayHaveExecuted {
                guard session.bytesSent == sentBefore else { throw error }
            }
        }
        return try run(body, in: RedisSession(connecting: settings))
    }

    /// Keeps the session only while it can be used, whatever `body` made of its errors.
    private func run<R: Sendable>(
        _ body: @Sendable (RedisSession) throws -> R, in session: RedisSession
    ) throws -> R {
        defer { self.session = session.isUsable ? session : nil }
        return try body(session)
    }

    /// One command.
    @discardableResult
    package func command(_ arguments: [RedisArgument], waiting: Duration = .zero) throws -> RedisReply {
        try perform { session in try session.command(arguments, waiting: waiting) }
    }

    /// One script.
    package func run(
        _ script: RedisScript, keys: [String], arguments: [RedisArgument] = []
    ) throws -> RedisReply {
        try perform { session in try session.run(script, keys: keys, arguments: arguments) }
    }

    package func close() {
        session = nil
    }
}
