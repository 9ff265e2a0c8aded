import Glibc
import TestSupport
import Testing

@testable import Redis

/// Servers that are slow, silent, cut off or no Redis at all.
@Suite struct HostileServerTests {
    private func settings(_ port: Int, answer: Duration = .seconds(5), connect: Duration = .seconds(5))
        -> RedisSettings
    {
        var settings = RedisSettings(.server(.tcp(host: "127.0.0.1", port: port)), clientName: "t")
        settings.answerTimeout = answer
        settings.connectTimeout = connect
        return settings
    }

    /// `CLIENT SETNAME t`, 36 bytes in wire format, is answered.
    private static let greeting: [ScriptedServer.Step] = [.read(36), .write("+OK\r\n")]
    /// The end of a `PING` behind it, 14 bytes more.
    private static let ping = ScriptedServer.Step.read(50)

    @Test func anAnswerMayComeByteByByte() throws {
        let wire = "*3\r\n$5\r\nhello\r\n:12\r\n*2\r\n$-1\r\n-ERR inside\r\n"
        let server = try ScriptedServer([
            Self.greeting + [Self.ping, .drip(wire, microseconds: 500), .read(1000)]
        ])
        let session = try RedisSession(connecting: settings(server.port))
        let elements = try session.command(["PING"]).elements()
        #expect(elements.count == 3)
        #expect(elements[0] == .string(Array("hello".utf8)))
    }

    /// Each byte comes in time, the answer does not.
    @Test func aDrippingAnswerDoesNotHoldUsForEver() throws {
        let wire = "$1000\r\n" + String(repeating: "x", count: 1000)
        let server = try ScriptedServer([Self.greeting + [Self.ping, .drip(wire, microseconds: 20_000)]])
        let session = try RedisSession(connecting: settings(server.port, answer: .milliseconds(300)))
        let start = ContinuousClock.now
        let error = try #require(throws: RedisError.self) { try session.command(["PING"]) }
        #expect(error.code == .timedOut)
        #expect(error.mayHaveExecuted)
        #expect(start.duration(to: .now) < .seconds(2))
    }

    @Test(arguments: [
        [ScriptedServer.Step](), [.reset], [.write("$10\r\nabc")], [.write("$10\r\nabc"), .reset],
    ])
    func anAnswerThatIsCutOffEndsTheSession(_ rest: [ScriptedServer.Step]) throws {
        let server = try ScriptedServer([Self.greeting + [Self.ping] + rest])
        let session = try RedisSession(connecting: settings(server.port))
        let error = try #require(throws: RedisError.self) { try session.command(["PING"]) }
        #expect(error.code == .connectionLost)
        #expect(error.isRetriable && error.mayHaveExecuted && !session.isUsable)
    }

    @Test func theAnswersBeforeTheBreakStay() throws {
        let server = try ScriptedServer([Self.greeting + [.read(36 + 28), .write("+PONG\r\n")]])
        let session = try RedisSession(connecting: settings(server.port))
        let results = session.pipeline([["PING"], ["PING"]])
        #expect(try results[0].get() == .status("PONG"))
        let error = try #require(throws: RedisError.self) { try results[1].get() }
        #expect(error.mayHaveExecuted)
    }

    /// The kernel's buffers take a part of it, so the last commands have certainly not been executed.
    @Test func whatHasNotLeftHasNotBeenExecuted() throws {
        let server = try ScriptedServer([
            Self.greeting + [.read(1000), .pause(microseconds: 600_000), .reset]
        ])
        let session = try RedisSession(connecting: settings(server.port, answer: .milliseconds(200)))
        let large = RedisArgument.bytes([UInt8](repeating: 1, count: 8 << 20))
        let results = session.pipeline([["PING"]] + (0..<8).map { _ in ["ECHO", large] })
        let errors = results.compactMap { result -> RedisError? in
            if case .failure(let error) = result { error } else { nil }
        }
        #expect(errors.count == 9)
        #expect(errors.first?.mayHaveExecuted == true)
        #expect(errors.last?.mayHaveExecuted == false)
    }

    @Test func aServerThatClosedWhileWeWereIdleHasExecutedNothing() throws {
        let server = try ScriptedServer([Self.greeting])
        let session = try RedisSession(connecting: settings(server.port))
        usleep(100_000)
        let error = try #require(throws: RedisError.self) { try session.command(["PING"]) }
        #expect(error.code == .connectionLost)
        #expect(!error.mayHaveExecuted)
    }

    @Test func anAnswerNobodyAskedForEndsTheSession() throws {
        let server = try ScriptedServer([
            Self.greeting + [Self.ping, .write("+PONG\r\n+PONG\r\n"), .read(1000)]
        ])
        let session = try RedisSession(connecting: settings(server.port))
        usleep(50_000)
        #expect(try session.command(["PING"]) == .status("PONG"))
        let error = try #require(throws: RedisError.self) { try session.command(["PING"]) }
        #expect(!error.mayHaveExecuted)
        #expect(!session.isUsable)
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "220 mail ESMTP\r\n"])
    func anotherProtocolIsNamed(_ banner: String) throws {
        let server = try ScriptedServer([[.write(banner), .read(1000)]])
        let error = try #require(throws: RedisError.self) {
            try RedisSession(connecting: settings(server.port))
        }
        #expect(!error.mayHaveExecuted)
        #expect(error.message.contains("protocol") || error.message.contains("had asked for"), "\(error)")
    }

    @Test func aServerThatAcceptsAndIsSilentIsGivenUpInTime() throws {
        let hole = try LoopbackListener()
        let start = ContinuousClock.now
        let error = try #require(throws: RedisError.self) {
            try RedisSession(connecting: settings(hole.port, connect: .milliseconds(300)))
        }
        #expect(error.code == .connectionFailed)
        #expect(error.isRetriable && !error.mayHaveExecuted)
        #expect(start.duration(to: .now) < .seconds(2))
    }

    /// A full backlog drops our SYN, as a firewall does.
    @Test func aServerThatDropsOurPacketsIsGivenUpInTime() throws {
        let hole = try LoopbackListener(backlog: 0)
        let address = RedisAddress.tcp(host: "127.0.0.1", port: hole.port)
        let filler = try SocketHandle.connect(to: address, until: Deadline(in: .seconds(1)))
        let start = ContinuousClock.now
        let error = try #require(throws: RedisError.self) {
            try RedisSession(connecting: settings(hole.port, connect: .milliseconds(300)))
        }
        #expect(error.code == .connectionFailed)
        #expect(start.duration(to: .now) < .seconds(2))
        _ = consume filler
    }

    @Test func aPortWhereNobodyListensIsNamed() throws {
        let port = try FreePort.next()
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings(port)) }
        #expect(error.code == .connectionFailed)
        #expect(error.description.contains("127.0.0.1:\(port)"))
        #expect(error.description.contains("refused"))
    }

    @Test func aHostThatDoesNotExistIsNamed() throws {
        var settings = try RedisSettings(url: "redis://:hunter2@no-such-host.invalid")
        settings.connectTimeout = .seconds(2)
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings) }
        #expect(error.code == .connectionFailed)
        #expect(error.message.contains("no-such-host.invalid"))
    }

    @Test func aSocketThatDoesNotExistIsNamed() throws {
        let settings = try RedisSettings(url: "unix:///no/such/socket")
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings) }
        #expect(error.code == .connectionFailed)
        #expect(error.message.contains("/no/such/socket"))
    }

    @Test func aClusterThatSendsUsInCirclesIsGivenUp() throws {
        let port = try FreePort.next()
        let answer = ScriptedServer.Step.write("-MOVED 1 127.0.0.1:\(port)\r\n")
        let steps = Self.greeting + [Self.ping, answer]
        let server = try ScriptedServer(Array(repeating: steps, count: 10), port: port)
        let session = try RedisSession(connecting: settings(server.port))
        let error = try #require(throws: RedisError.self) { try session.command(["PING"]) }
        #expect(error.code == .redirectionsExhausted)
        #expect(error.isRetriable && !error.mayHaveExecuted)
    }
}
