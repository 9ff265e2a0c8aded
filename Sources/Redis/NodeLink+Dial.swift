extension NodeLink {
    /// What a connection does before its first command.
    struct Greeting {
        var credentials: RedisCredentials?
        var database = 0
        var clientName: String?
        /// Refuses a server that is no master.
        var requiresMaster = false
    }

    /// Connects and greets, in one round trip after the connection's own.
    /// - Throws: `connectionFailed`, also where a master is required and this is none; a server's error as
    ///   it is (`NOAUTH`, `WRONGPASS`, …). No command of a caller has been sent.
    static func dial(
        _ address: RedisAddress, _ settings: RedisSettings, _ greeting: Greeting, until deadline: Deadline
    ) throws(RedisError) -> NodeLink {
        let link = try NodeLink(
            to: address, tls: settings.tls, replyLimit: settings.replyLimit, until: deadline)
        try link.greet(greeting, until: deadline)
        return link
    }

    private enum Step {
        case authenticate, select, name, role
    }

    private func greet(_ greeting: Greeting, until deadline: Deadline) throws(RedisError) {
        var commands = CommandBuffer()
        var steps: [Step] = []
        if let credentials = greeting.credentials {
            try commands.append(credentials.command)
            steps.append(.authenticate)
        }
        if greeting.database != 0 {
            try commands.append(["SELECT", .integer(greeting.database)])
            steps.append(.select)
        }
        if let name = greeting.clientName {
            try commands.append(["CLIENT", "SETNAME", .text(Self.clientName(name))])
            steps.append(.name)
        }
        if greeting.requiresMaster {
            try commands.append(["ROLE"])
            steps.append(.role)
        }
        let results = exchange(commands, patience: deadline.remaining)
        for (step, result) in zip(steps, results) {
            switch result {
            case .success(let reply):
                if step == .role { try requireMaster(reply) }
            case .failure(let error):
                // The name is for operators only; an ACL may forbid it.
                if step == .name && error.answer == .noPermission { continue }
                throw Self.dialError(error, at: address)
            }
        }
    }

    private func requireMaster(_ role: RedisReply) throws(RedisError) {
        guard try role.elements().first?.text() == "master" else {
            throw RedisError(.connectionFailed, "\(address) is no master now")
        }
    }

    /// Redis takes a name without spaces.
    private static func clientName(_ name: String) -> String {
        String(
            decoding: name.utf8.map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: "-") }, as: UTF8.self)
    }

    private static func dialError(_ error: RedisError, at address: RedisAddress) -> RedisError {
        switch error.code {
        case .connectionLost, .timedOut:
            return RedisError(.connectionFailed, "no session with \(address): \(error.message)")
        case .server where error.answer == .general && error.message.contains("max number of clients"):
            // Redis gives this passing condition no code of its own.
            return RedisError(.connectionFailed, "\(address) has reached its maxclients")
        default:
            return error.marked(mayHaveExecuted: false)
        }
    }
}
