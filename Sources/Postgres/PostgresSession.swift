import BlockingIO
import CLibPQ
import Glibc

/// One session with the server, always in libpq's pipeline mode. It is no actor: its calls block and take
/// one caller at a time, so it belongs to an actor that runs on a `ConnectionThread`, whose synchronous
/// code no suspension can interleave with.
///
/// Statements are sent with `send`, a group of them is closed with `submit`, and `collect` waits for the
/// oldest group. An error inside a group makes the server skip the rest of it.
package final class PostgresSession {
    private let handle: ConnectionHandle
    private let settings: ConnectionSettings
    private var prepared: Set<String> = []
    /// Names that become prepared once their group succeeds, and the statements of the group being built.
    private var openGroup = Group()
    private var submitted: [Group] = []
    private var isBroken = false
    /// Nil until the session is set up.
    private var process: SilenceProbe.Process?

    /// The server process that serves this session.
    package let backendPID: Int
    /// The `search_path` that the role, the database or the address gave this session. Names of the application mean
    /// what they mean under it; see `SearchPath`.
    package private(set) var rolePath: String

    private struct Group {
        var kinds: [Kind] = []
        enum Kind {
            case parse(String)
            case statement
        }
    }

    /// Connects, and fixes what the text forms of ids depend on.
    package init(connecting settings: ConnectionSettings) throws(PostgresError) {
        let handle = try ConnectionHandle.connect(settings)
        let pid = Int(PQbackendPID(handle.raw))
        guard PQenterPipelineMode(handle.raw) == 1 else {
            throw PostgresError(.connectionFailed, handle.errorMessage)
        }
        self.handle = handle
        self.settings = settings
        self.backendPID = pid
        rolePath = ""
        rolePath = try settle()
        let answer = try query(
            """
            SELECT set_config('datestyle', 'ISO, YMD', false), set_config('timezone', 'UTC', false), \
            set_config('intervalstyle', 'postgres', false), set_config('bytea_output', 'hex', false), \
            set_config('extra_float_digits', '1', false), \(SilenceProbe.Process.columns)
            """)
        process = SilenceProbe.Process(pid: try answer.number(0, 5), start: try answer.text(0, 6))
        // There any byte may be in a text: the server would refuse to send what is no UTF-8, and the value could not
        // even be named as a failed record.
        if parameterStatus("server_encoding") == "SQL_ASCII" {
            try query("SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', false)")
        }
    }

    /// The server's version as libpq gives it: 150004 for 15.4.
    package var serverVersion: Int { Int(PQserverVersion(handle.raw)) }

    /// A run-time parameter that the server reports by itself, such as `server_encoding`.
    package func parameterStatus(_ name: String) -> String? {
        PQparameterStatus(handle.raw, name).map { String(cString: $0) }
    }

    package var cancelHandle: CancelHandle? { CancelHandle(of: handle.raw) }

    // MARK: One statement

    /// Sends one statement, waits for its answer.
    @discardableResult
    package func query(
        _ sql: String, _ parameters: QueryParameters = QueryParameters()
    ) throws(PostgresError) -> PostgresResult {
        var parameters = parameters
        try send(sql, &parameters)
        try submit()
        return try onlyResult(of: collect())
    }

    /// The same for a prepared statement.
    package func query(
        _ statement: PreparedStatement, _ parameters: inout QueryParameters
    ) throws(PostgresError) -> PostgresResult {
        try send(statement, &parameters)
        try submit()
        return try onlyResult(of: collect())
    }

    private func onlyResult(of results: [PostgresResult]) throws(PostgresError) -> PostgresResult {
        guard let result = results.last else {
            throw PostgresError(.unexpectedAnswer, "the server answered a statement with nothing")
        }
        return result
    }

    // MARK: Pipeline

    package func send(_ sql: String, _ parameters: inout QueryParameters) throws(PostgresError) {
        try checkUsable()
        let sent = parameters.withCArrays { count, types, values, lengths, formats in
            PQsendQueryParams(handle.raw, sql, count, types, values, lengths, formats, 1)
        }
        try check(sent)
        openGroup.kinds.append(.statement)
    }

    package func send(
        _ statement: PreparedStatement, _ parameters: inout QueryParameters
    ) throws(PostgresError) {
        try checkUsable()
        if !prepared.contains(statement.name) {
            let sent = parameters.withCArrays { count, types, _, _, _ in
                PQsendPrepare(handle.raw, statement.name, statement.sql, count, types)
            }
            try check(sent)
            prepared.insert(statement.name)
            openGroup.kinds.append(.parse(statement.name))
        }
        let sent = parameters.withCArrays { count, _, values, lengths, formats in
            PQsendQueryPrepared(handle.raw, statement.name, count, values, lengths, formats, 1)
        }
        try check(sent)
        openGroup.kinds.append(.statement)
    }

    /// Closes the group of statements sent so far and puts it on its way.
    package func submit() throws(PostgresError) {
        try checkUsable()
        try check(PQpipelineSync(handle.raw))
        submitted.append(openGroup)
        openGroup = Group()
        try flush()
    }

    /// Waits for the oldest submitted group and gives the answers to its statements in order.
    /// - Throws: the first error of the group; whatever stood behind it has not run. The session is usable
    ///   afterwards unless `breaksConnection` says otherwise.
    package func collect() throws(PostgresError) -> [PostgresResult] {
        try checkUsable()
        guard !submitted.isEmpty else {
            throw PostgresError(.unexpectedAnswer, "no group of statements is under way")
        }
        let group = submitted.removeFirst()
        let deadline = ContinuousClock.now.advanced(by: settings.answerTimeout)
        var results: [PostgresResult] = []
        results.reserveCapacity(group.kinds.count)
        var failure: PostgresError?
        for kind in group.kinds {
            guard let raw = try nextResult(until: deadline) else {
                // libpq has told of the lost connection before, to whoever waited then.
                throw broken(PostgresError(.connectionLost, "an answer is missing in the pipeline"))
            }
            let result = PostgresResult(takingOwnership: raw)
            switch result.status {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                if case .statement = kind { results.append(result) }
            case PGRES_FATAL_ERROR, PGRES_NONFATAL_ERROR, PGRES_BAD_RESPONSE:
                if case .parse(let name) = kind { prepared.remove(name) }
                let error = result.serverError()
                if error.breaksConnection { throw broken(error) }
                failure = failure ?? error
            case PGRES_PIPELINE_ABORTED:
                if case .parse(let name) = kind { prepared.remove(name) }
                failure =
                    failure ?? PostgresError(.unexpectedAnswer, "a statement was skipped without an error")
            default:
                throw broken(
                    PostgresError(.unexpectedAnswer, "a statement was answered with \(result.status)"))
            }
            guard try nextResult(until: deadline) == nil else {
                throw broken(PostgresError(.unexpectedAnswer, "a statement was answered twice"))
            }
        }
        guard let end = try nextResult(until: deadline) else {
            throw broken(PostgresError(.unexpectedAnswer, "the end of the pipeline is missing"))
        }
        guard PostgresResult(takingOwnership: end).status == PGRES_PIPELINE_SYNC else {
            throw broken(PostgresError(.unexpectedAnswer, "the end of the pipeline is not where it belongs"))
        }
        if let failure { throw failure }
        return results
    }

    /// Whether groups are under way whose answers have not been collected.
    package var hasSubmitted: Bool { !submitted.isEmpty }

    /// Collects every group that is under way, whatever the answers are.
    /// - Throws: where the connection broke.
    package func discardSubmitted() throws(PostgresError) {
        while hasSubmitted {
            do throws(PostgresError) {
                _ = try collect()
            } catch {
                if isBroken { throw error }
            }
        }
    }

    // MARK: Waiting

    private func nextResult(until deadline: ContinuousClock.Instant) throws(PostgresError) -> OpaquePointer? {
        while PQisBusy(handle.raw) == 1 {
            let unsent = PQflush(handle.raw)
            guard unsent >= 0 else { throw broken(PostgresError(.connectionLost, handle.errorMessage)) }
            let events = unsent == 1 ? POLLIN | POLLOUT : POLLIN
            guard try wait(for: Int16(events), until: deadline) else {
                throw broken(
                    PostgresError(.timedOut, "the server was silent for \(settings.answerTimeout)"))
            }
            guard PQconsumeInput(handle.raw) == 1 else {
                throw broken(PostgresError(.connectionLost, handle.errorMessage))
            }
        }
        return PQgetResult(handle.raw)
    }

    private func flush() throws(PostgresError) {
        let deadline = ContinuousClock.now.advanced(by: settings.answerTimeout)
        while true {
            let unsent = PQflush(handle.raw)
            if unsent == 0 { return }
            guard unsent == 1 else { throw broken(PostgresError(.connectionLost, handle.errorMessage)) }
            guard try wait(for: Int16(POLLIN | POLLOUT), until: deadline) else {
                throw broken(
                    PostgresError(.timedOut, "the server took nothing for \(settings.answerTimeout)"))
            }
            // The server may wait for us to read before it reads on.
            guard PQconsumeInput(handle.raw) == 1 else {
                throw broken(PostgresError(.connectionLost, handle.errorMessage))
            }
        }
    }

    /// False once the deadline has passed.
    /// - Throws: as soon as it is known that the connection has died without a word.
    private func wait(for events: Int16, until deadline: ContinuousClock.Instant) throws(PostgresError)
        -> Bool
    {
        do throws(PostgresError) {
            while true {
                guard process != nil else { return try waitForFirstAnswer(events, until: deadline) }
                let pause = ContinuousClock.now.advanced(by: SilenceProbe.patience)
                if !settings.probesSilence || pause >= deadline {
                    return try handle.wait(for: events, until: deadline)
                }
                if try handle.wait(for: events, until: pause) { return true }
                guard let process, let finding = SilenceProbe.finding(about: process, settings) else {
                    continue
                }
                // The answer may have come while the question was asked.
                let now = ContinuousClock.now.advanced(by: .milliseconds(300))
                if try handle.wait(for: events, until: now) { return true }
                throw PostgresError(.timedOut, "silent for \(SilenceProbe.patience), and \(finding)")
            }
        } catch {
            throw broken(error)
        }
    }

    /// The first statement is answered at once, or by nobody: it has the time of a connection.
    private func waitForFirstAnswer(_ events: Int16, until deadline: ContinuousClock.Instant)
        throws(PostgresError) -> Bool
    {
        let limit = ContinuousClock.now.advanced(by: settings.connectTimeout)
        if try handle.wait(for: events, until: min(limit, deadline)) { return true }
        throw PostgresError(
            .timedOut,
            "connected, and silent for \(settings.connectTimeout); is the pool full, or the server stuck?")
    }

    private func checkUsable() throws(PostgresError) {
        if isBroken { throw PostgresError(.connectionLost, "this session ended with an earlier error") }
    }

    private func check(_ sent: Int32) throws(PostgresError) {
        guard sent == 1 else { throw broken(PostgresError(.connectionLost, handle.errorMessage)) }
    }

    private func broken(_ error: PostgresError) -> PostgresError {
        isBroken = true
        return error
    }
}
