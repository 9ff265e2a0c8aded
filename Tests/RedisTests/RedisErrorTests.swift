import Testing

@testable import Redis

@Suite struct RedisErrorTests {
    private func answer(_ text: String) -> RedisError {
        Array(text.utf8).withUnsafeBytes { RedisError.ofAnswer($0) }
    }

    @Test(arguments: [
        ("LOADING Redis is loading the dataset in memory", true, true),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", true, false),
        ("READONLY You can't write against a read only replica.", true, true),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", true, true),
        ("CLUSTERDOWN The cluster is down", true, false), ("TRYAGAIN Multiple keys request", true, false),
        ("MISCONF Redis is configured to save RDB snapshots", true, false),
        ("OOM command not allowed when used memory > 'maxmemory'.", true, false),
        ("NOREPLICAS Not enough good replicas to write.", true, false),
        ("UNBLOCKED client unblocked via CLIENT UNBLOCK", true, false),
        ("NOAUTH Authentication required.", false, false),
        ("WRONGPASS invalid username-password pair or user is disabled.", false, false),
        ("NOPERM this user has no permissions", false, false),
        ("WRONGTYPE Operation against a key", false, false), ("ERR syntax error", false, false),
        ("BUSYGROUP Consumer Group name already exists", false, false),
        ("NOSCRIPT No matching script.", false, false), ("my own error", false, false), ("", false, false),
    ])
    func theAnswerSaysWhetherToTryAgain(_ text: String, isRetriable: Bool, breaksConnection: Bool) {
        let error = answer(text)
        #expect(error.code == .server)
        #expect(error.isRetriable == isRetriable)
        #expect(error.breaksConnection == breaksConnection)
        #expect(!error.mayHaveExecuted)
    }

    @Test(arguments: [
        ("@user_script:1: @user_script: 1: -READONLY You can't write", "READONLY"),
        ("@user_script:12: @user_script: 12: -OOM command not allowed when used memory", "OOM"),
        ("@user_script:1: WRONGTYPE Operation against a key", "WRONGTYPE"),
        ("@user_script:1: @user_script: 1: Unknown Redis command called from Lua script", "ERR"),
        ("@user_script:1: user_script:1: boom -READONLY", "ERR"), ("", "ERR"),
    ])
    func findsTheCauseOfAStoppedScriptOfRedis6(_ text: String, code: String) {
        let error = answer("ERR Error running script (call to f_89234c72f0f53d49ac59de2bbfc2a600): \(text)")
        #expect(error.answer == RedisErrorCode(code))
    }

    @Test func anErrorCanBeLogged() {
        let error = answer("ERR unknown command `AUTHX`, with args beginning with: `joe`, `hunter2`, ")
        #expect(error.description == "server error: ERR unknown command `AUTHX`")
        #expect(
            answer("ERR a\r\nINFO forged line\u{1b}[31m\u{202e}").message == "ERR a  INFO forged line [31m ")
        #expect(answer("ERR " + String(repeating: "x", count: 10_000)).message.utf8.count == 300)
    }

    @Test func errorsOfTheConnectionSayWhetherToTryAgain() {
        #expect(RedisError(.connectionLost, "").isRetriable)
        #expect(RedisError(.connectionFailed, "").isRetriable)
        #expect(RedisError(.timedOut, "").isRetriable)
        #expect(RedisError(.redirectionsExhausted, "").isRetriable)
        #expect(!RedisError(.untrustedServer, "").isRetriable)
        #expect(!RedisError(.unexpectedAnswer, "").isRetriable)
        #expect(!RedisError(.replyTooLarge, "").isRetriable)
        #expect(!RedisError(.unsupportedServer, "").isRetriable)
    }

    @Test(arguments: [
        ("MOVED 3999 10.0.0.7:6381", true, "10.0.0.7:6381"),
        ("ASK 1 host-2.example:1", false, "host-2.example:1"),
        ("MOVED 3999 :6381", true, "here:6381"), ("MOVED 3999 ?:6381", true, "here:6381"),
        ("MOVED 3999 fe80::7:6381", true, "[fe80::7]:6381"),
    ])
    func redirectionsAreRead(_ text: String, isPermanent: Bool, address: String) throws {
        let redirection = try #require(try Redirection(answer(text), from: .tcp(host: "here", port: 1)))
        #expect(redirection.isPermanent == isPermanent)
        #expect(redirection.address.description == address)
    }

    @Test(arguments: [
        "MOVED", "MOVED 1", "MOVED 1 h", "MOVED 1 h:0", "MOVED 1 h/x:1", "ASK 1 h:99999", "ASK 1 h:1 x",
    ])
    func refusesHostileRedirections(_ text: String) {
        #expect(throws: RedisError.self) { try Redirection(answer(text), from: .tcp(host: "here", port: 1)) }
    }
}
