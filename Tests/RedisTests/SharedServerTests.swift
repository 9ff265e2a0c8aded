import Foundation
import TestSupport
import Testing

@testable import Redis

/// What a session does on any server. Each test has keys of its own.
@Suite(.needs(.redis)) struct SharedServerTests {
    private let settings: RedisSettings
    private let key = "test:{\(UUID().uuidString)}"

    init() throws {
        settings = try RedisSettings(url: try #require(Service.redis.value), clientName: "shared tests")
    }

    @Test func commandsGetTheirReplies() throws {
        let session = try RedisSession(connecting: settings)
        #expect(try session.command(["PING"]) == .status("PONG"))
        #expect(try session.command(["SET", .text(key), .bytes([0, 255, 10])]) == .status("OK"))
        #expect(try session.command(["GET", .text(key)]) == .string([0, 255, 10]))
        #expect(try session.command(["APPEND", .text(key), .integer(7)]) == .integer(4))
        #expect(try session.command(["GET", .text(key + "none")]) == .null)
        let error = try #require(throws: RedisError.self) { try session.command(["LPUSH", .text(key), "x"]) }
        #expect(error.answer == RedisErrorCode("WRONGTYPE"))
        #expect(!error.isRetriable && !error.mayHaveExecuted)
        #expect(session.isUsable)
        try session.command(["DEL", .text(key)])
    }

    @Test func theClientIsNamedWithoutSpaces() throws {
        let session = try RedisSession(connecting: settings)
        #expect(try session.command(["CLIENT", "GETNAME"]).text() == "shared-tests")
    }

    @Test func databasesAreApart() throws {
        var other = settings
        other.database = 5
        let first = try RedisSession(connecting: settings)
        let second = try RedisSession(connecting: other)
        try second.command(["SET", .text(key), "x", "PX", 5000])
        #expect(try first.command(["EXISTS", .text(key)]) == .integer(0))
        other.database = 1_000_000
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: other) }
        #expect(error.answer == .general)
        #expect(!error.isRetriable)
    }

    @Test func wrongPasswordsAreNotRetried() throws {
        var wrong = settings
        wrong.credentials = RedisCredentials(user: "nobody", password: "hunter2")
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: wrong) }
        #expect(error.answer == RedisErrorCode("WRONGPASS"))
        #expect(!error.isRetriable && !error.description.contains("hunter2"))
        wrong.credentials = nil
        if settings.credentials != nil {
            let error = try #require(throws: RedisError.self) { try RedisSession(connecting: wrong) }
            #expect(error.answer == RedisErrorCode("NOAUTH"))
            #expect(!error.isRetriable)
        }
    }

    /// 32 MB each way: neither side may wait for the other to read first.
    @Test func aPipelineMayBeLargerThanEveryBuffer() throws {
        let session = try RedisSession(connecting: settings)
        let value = [UInt8](repeating: 7, count: 16 << 10)
        let results = session.pipeline((0..<2000).map { _ in ["ECHO", .bytes(value)] })
        #expect(results.count == 2000)
        #expect(try results.allSatisfy { try $0.get() == .string(value) })
    }

    @Test func aPipelineGoesOnAfterAnError() throws {
        let session = try RedisSession(connecting: settings)
        let results = session.pipeline([
            ["SET", .text(key), "x", "PX", 5000], ["INCR", .text(key)], ["NONSENSE", "secret"],
            ["GET", .text(key)],
        ])
        #expect(try results[0].get() == .status("OK"))
        #expect(throws: RedisError.self) { try results[1].get() }
        let error = try #require(throws: RedisError.self) { try results[2].get() }
        #expect(!error.description.contains("secret"))
        #expect(try results[3].get().text() == "x")
        #expect(session.pipeline([]).isEmpty)
        #expect(throws: RedisError.self) { try session.pipeline([[]])[0].get() }
    }

    @Test func errorsInsideAnArrayStay() throws {
        let session = try RedisSession(connecting: settings)
        let script = RedisScript(
            name: "mixed",
            source: "return {1, redis.error_reply('MYCODE no'), 'a', {redis.status_reply('fine')}}")
        let elements = try session.run(script, keys: [key]).elements()
        guard case .error(let error) = elements[1] else {
            Issue.record("no error in \(elements)")
            return
        }
        #expect(error.answer == RedisErrorCode("MYCODE"))
        #expect(elements[3] == .array([.status("fine")]))
    }

    @Test func aScriptIsSentAgainWhereItIsUnknown() throws {
        let session = try RedisSession(connecting: settings)
        let script = RedisScript(name: "echo", source: "return {KEYS[1], ARGV[1], '\(UUID().uuidString)'}")
        for _ in 0..<2 {
            let reply = try session.run(script, keys: [key], arguments: [.integer(5)]).elements()
            #expect(try reply[0].text() == key)
            #expect(try reply[1].text() == "5")
        }
        // Sent by digest alone the second time.
        #expect(
            try session.command(["SCRIPT", "EXISTS", .text(try #require(script.digest))])
                == .array([.integer(1)]))
    }

    @Test func whatAScriptDidBeforeItsErrorStays() throws {
        let session = try RedisSession(connecting: settings)
        let script = RedisScript(
            name: "half",
            source: "redis.call('SET', KEYS[1], 'x', 'PX', 5000) return redis.call('LPUSH', KEYS[1], 1)")
        let error = try #require(throws: RedisError.self) { try session.run(script, keys: [key]) }
        #expect(error.mayHaveExecuted)
        #expect(error.answer == RedisErrorCode("WRONGTYPE"))
        #expect(try session.command(["EXISTS", .text(key)]) == .integer(1))
    }

    @Test func aBlockingCommandMayWaitLongerThanAnAnswer() throws {
        var quick = settings
        quick.answerTimeout = .milliseconds(300)
        let session = try RedisSession(connecting: quick)
        #expect(try session.command(["BLPOP", .text(key), 1], waiting: .seconds(1)) == .null)
        #expect(session.isUsable)
        let error = try #require(throws: RedisError.self) { try session.command(["BLPOP", .text(key), 1]) }
        #expect(error.code == .timedOut)
        #expect(error.isRetriable && error.mayHaveExecuted && !session.isUsable)
        let next = try #require(throws: RedisError.self) { try session.command(["PING"]) }
        #expect(next.code == .connectionLost)
        #expect(!next.mayHaveExecuted)
    }

    @Test func answersAreBounded() throws {
        var small = settings
        small.replyLimit = 100_000
        let session = try RedisSession(connecting: small)
        let error = try #require(throws: RedisError.self) {
            try session.command(["EVAL", "return string.rep('x', 1000000)", 0])
        }
        #expect(error.code == .replyTooLarge)
        #expect(!session.isUsable)
    }

    @Test func anIdleConnectionThatTheServerClosedIsReplaced() async throws {
        let connection = RedisConnection(settings)
        let other = try RedisSession(connecting: settings)
        let id = try await connection.command(["CLIENT", "ID"]).integer()
        #expect(try await connection.command(["CLIENT", "ID"]).integer() == id)
        for round in 1...5 {
            let current = try await connection.command(["CLIENT", "ID"]).integer()
            try other.command(["CLIENT", "KILL", "ID", .integer(current)])
            #expect(try await connection.command(["INCR", .text(key)]).integer() == round)
        }
        try other.command(["DEL", .text(key)])
        await connection.close()
    }

    @Test func aConnectionThatBreaksInTheMiddleIsNotRepeated() async throws {
        let connection = RedisConnection(settings)
        let other = try RedisSession(connecting: settings)
        let key = key
        try await connection.command(["PING"])
        let error = await #expect(throws: RedisError.self) {
            try await connection.perform { session in
                try session.command(["INCR", .text(key)])
                try session.command([
                    "CLIENT", "KILL", "SKIPME", "no", "ID",
                    try .integer(session.command(["CLIENT", "ID"]).integer()),
                ])
                try session.command(["INCR", .text(key)])
            }
        }
        #expect(error?.code == .connectionLost)
        #expect(try other.command(["GET", .text(key)]).integer() == 1)
        #expect(try await connection.command(["DEL", .text(key)]).integer() == 1)
    }

    @Test func theServerIsSupported() throws {
        let info = try RedisSession(connecting: settings).requireSupportedServer()
        #expect(info.product == "Redis" || info.product == "Valkey")
    }

    @Test func answersOfManyConnectionsAreNotMixedUp() async throws {
        let settings = settings
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<16 {
                group.addTask {
                    let connection = RedisConnection(settings)
                    for round in 0..<100 {
                        let text = "\(index):\(round)"
                        guard try await connection.command(["ECHO", .text(text)]).text() == text else {
                            throw RedisError(.unexpectedAnswer, "answers are mixed up")
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
