import BlockingIO

/// A session behind an actor on a thread of its own: for the callers that ask a few questions, such as
/// catalog, census and leadership. A worker's lane owns its session directly.
package actor PostgresConnection {
    private let thread = ConnectionThread()
    private let settings: ConnectionSettings
    private var session: PostgresSession?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Connects at the first call.
    package init(_ settings: ConnectionSettings) {
        self.settings = settings
    }

    /// Runs `body` with the session, connecting first where there is none. `body` is synchronous, so no
    /// other caller comes in between its statements.
    ///
    /// Where the task is cancelled, the statement that is running is cancelled on the server: it may wait for
    /// a lock that nobody gives back.
    /// - Throws: `CancellationError` for a statement that was cancelled in that way.
    package func perform<R: Sendable>(_ body: @Sendable (PostgresSession) throws -> R) async throws -> R {
        let session = try session ?? PostgresSession(connecting: settings)
        self.session = session
        let cancelHandle = session.cancelHandle
        do {
            return try await withTaskCancellationHandler {
                try run(body, session)
            } onCancel: {
                cancelHandle?.cancelOnItsOwnThread()
            }
        } catch let error as PostgresError where error.breaksConnection {
            self.session = nil
            throw error
        } catch let error as PostgresError where error.sqlState == .queryCanceled && Task.isCancelled {
            throw CancellationError()
        }
    }

    /// Being a call to the actor, it keeps the closure above on the actor's thread. A closure that does not use `self`
    /// would run on the cooperative pool: a statement would block one of its few threads, and a second caller would
    /// come in between.
    private func run<R>(_ body: (PostgresSession) throws -> R, _ session: PostgresSession) throws -> R {
        try body(session)
    }

    /// Runs `body` inside a transaction that is rolled back where it throws.
    package func transaction<R: Sendable>(
        _ begin: String, _ body: @Sendable (PostgresSession) throws -> R
    ) async throws -> R {
        try await perform { session in try session.transaction(begin, body) }
    }

    package func close() {
        session = nil
    }
}

extension PostgresSession {
    /// Runs `body` between `begin` and COMMIT; rolls back where it throws.
    package func transaction<R>(_ begin: String, _ body: (PostgresSession) throws -> R) throws -> R {
        try query(begin)
        let value: R
        do {
            value = try body(self)
        } catch {
            do throws(PostgresError) {
                try query("ROLLBACK")
            } catch {
                // The first error is the cause; the server ends the transaction with the connection.
            }
            throw error
        }
        let tag = try query("COMMIT").commandTag
        guard tag == "COMMIT" else {
            throw PostgresError(.unexpectedAnswer, "COMMIT was answered with \(tag)")
        }
        return value
    }
}
