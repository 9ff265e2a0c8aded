/// One session with Redis: a server, the master that sentinels name, or the node of a cluster that has our
/// keys. It is no actor: its calls block, with deadlines, and take one caller at a time, so it belongs to an
/// actor that runs on a `ConnectionThread`.
///
/// In a cluster all keys of a session must share one hash tag: it stays with the node it was sent to.
/// Commands that change how answers come (`SUBSCRIBE`, `MONITOR`, `CLIENT REPLY`, `HELLO 3`) have no place
/// here.
package final class RedisSession {
    private let settings: RedisSettings
    private var link: NodeLink
    private var bytesSentEarlier = 0

    /// How often one command is sent on before the cluster is taken to go in circles.
    private static let longestChase = 5

    /// Connects, authenticates, selects the database; through sentinels, finds the master and checks that it
    /// is one. All of it within `connectTimeout`.
    package init(connecting settings: RedisSettings) throws(RedisError) {
        self.settings = settings
        let deadline = Deadline(in: settings.connectTimeout)
        switch settings.target {
        case .server(let address):
            link = try NodeLink.dial(address, settings, Self.greeting(settings), until: deadline)
        case .sentinels(let sentinels, let master):
            var greeting = Self.greeting(settings)
            greeting.requiresMaster = true
            link = try MasterLookup(sentinels: sentinels, master: master, settings: settings)
                .dial(greeting, until: deadline)
        }
    }

    private static func greeting(_ settings: RedisSettings) -> NodeLink.Greeting {
        NodeLink.Greeting(
            credentials: settings.credentials, database: settings.database, clientName: settings.clientName)
    }

    /// False once an error has ended it, or the server has said that it cannot serve us (`READONLY`,
    /// `MASTERDOWN`, `LOADING`). Every command then throws `connectionLost` without having been sent.
    package var isUsable: Bool { link.isUsable }

    /// The server that answers: the master found, or the node of the cluster.
    package var address: RedisAddress { link.address }

    /// Grows with every byte of a command that has left.
    var bytesSent: Int { bytesSentEarlier + link.bytesSent }

    /// Sends one command and waits for its answer.
    /// - Parameter waiting: how long a blocking command itself waits; comes on top of `answerTimeout`.
    /// - Throws: `server` for an error answer; else what ended the session. `mayHaveExecuted` says whether
    ///   the command may have taken effect.
    @discardableResult
    package func command(
        _ arguments: [RedisArgument], waiting: Duration = .zero
    ) throws(RedisError) -> RedisReply {
        guard let result = perform(try CommandBuffer([arguments]), [arguments], waiting: waiting).first else {
            throw .unexpected("a command was answered with nothing")
        }
        return try result.get()
    }

    /// Sends commands in one go and gives a result for each. They are no transaction: one that fails stops
    /// none of the others, and where the connection breaks, each error says whether its command may have
    /// taken effect. In a cluster whose slot is moving, order holds for each key only.
    package func pipeline(_ commands: [[RedisArgument]]) -> [Result<RedisReply, RedisError>] {
        do throws(RedisError) {
            return perform(try CommandBuffer(commands), commands, waiting: .zero)
        } catch {
            return commands.map { _ in .failure(error) }
        }
    }

    private func perform(
        _ buffer: CommandBuffer, _ commands: [[RedisArgument]], waiting: Duration
    ) -> [Result<RedisReply, RedisError>] {
        let patience = settings.answerTimeout + waiting
        var results = link.exchange(buffer, patience: patience)
        for _ in 0..<Self.longestChase {
            do throws(RedisError) {
                guard let (redirection, indices) = try redirected(results) else { return results }
                let again = try resend(indices.map { commands[$0] }, redirection, patience)
                for (index, result) in zip(indices, again) { results[index] = result }
            } catch {
                return results.map { isRedirection($0) ? .failure(error) : $0 }
            }
        }
        let error = RedisError(
            .redirectionsExhausted, "a command was sent on \(Self.longestChase) times by the cluster")
        return results.map { isRedirection($0) ? .failure(error) : $0 }
    }

    // MARK: Cluster

    private func isRedirection(_ result: Result<RedisReply, RedisError>) -> Bool {
        guard case .failure(let error) = result else { return false }
        return error.answer == .moved || error.answer == .ask
    }

    /// The first redirection among the results, and all commands that got the same.
    private func redirected(
        _ results: [Result<RedisReply, RedisError>]
    ) throws(RedisError) -> (Redirection, [Int])? {
        var first: Redirection?
        var indices: [Int] = []
        for (index, result) in results.enumerated() {
            guard case .failure(let error) = result,
                let redirection = try Redirection(error, from: link.address)
            else { continue }
            if first == nil { first = redirection }
            if redirection == first { indices.append(index) }
        }
        return first.map { ($0, indices) }
    }

    /// Sends commands, none of which has been executed, where the cluster wants them.
    private func resend(
        _ commands: [[RedisArgument]], _ redirection: Redirection, _ patience: Duration
    ) throws(RedisError) -> [Result<RedisReply, RedisError>] {
        let node = try NodeLink.dial(
            redirection.address, settings, Self.greeting(settings),
            until: Deadline(in: settings.connectTimeout))
        if redirection.isPermanent {
            bytesSentEarlier += link.bytesSent
            link = node
            return node.exchange(try CommandBuffer(commands), patience: patience)
        }
        let asking = try CommandBuffer(commands.flatMap { [["ASKING"], $0] })
        let answers = node.exchange(asking, patience: patience)
        bytesSentEarlier += node.bytesSent
        return commands.indices.map { answers[2 * $0 + 1] }
    }
}
