import TestSupport
import Testing

@testable import Redis

@Suite(.serialized, .needs(.redisServer), .needsTLSServer) struct TLSTests {
    private static let made = Result { try CertificateFolder() }
    private let files: CertificateFolder

    init() throws {
        files = try Self.made.get()
    }

    private func server(_ certificate: String = "server", clients: String = "yes") throws
        -> RedisServerProcess
    {
        let port = try FreePort.next()
        return try RedisServerProcess(
            files.serverArguments(port: port, certificate: certificate, clients: clients), port: port)
    }

    private func connect(
        _ server: RedisServerProcess, host: String = "localhost", authority: String = "ca_file=PATH/ca.crt",
        client: String = "&cert_file=PATH/client.crt&key_file=PATH/client.key", answer: Duration? = nil
    ) throws -> RedisSession {
        let query = (authority + client).split(separator: "PATH", omittingEmptySubsequences: false)
            .joined(separator: files.path)
        var settings = try RedisSettings(url: "rediss://\(host):\(server.port)?\(query)")
        if let answer { settings.answerTimeout = answer }
        return try RedisSession(connecting: settings)
    }

    @Test(arguments: ["localhost", "127.0.0.1"]) func connectsByNameAndByAddress(_ host: String) throws {
        let server = try server()
        let session = try connect(server, host: host)
        #expect(try session.command(["PING"]) == .status("PONG"))
    }

    @Test func authoritiesMayBeInAFolder() throws {
        let server = try server()
        let session = try connect(server, authority: "ca_dir=PATH/hashed")
        #expect(try session.command(["PING"]) == .status("PONG"))
    }

    @Test func largeCommandsAndAnswersArriveWhole() throws {
        let server = try server()
        let session = try connect(server)
        let value = [UInt8](repeating: 9, count: 100_000)
        let results = session.pipeline((0..<200).map { _ in ["ECHO", .bytes(value)] })
        #expect(try results.allSatisfy { try $0.get() == .string(value) })
        let large = [UInt8](repeating: 3, count: 20 << 20)
        #expect(try session.command(["ECHO", .bytes(large)]) == .string(large))
    }

    @Test func anotherAuthorityIsNotTrusted() throws {
        let server = try server()
        for authority in ["ca_file=PATH/other-ca.crt", "ca_dir=/etc/ssl/certs"] {
            let error = try #require(throws: RedisError.self) { try connect(server, authority: authority) }
            #expect(error.code == .untrustedServer)
            #expect(!error.isRetriable)
            #expect(error.message.contains("ca_file"))
        }
    }

    @Test func theSystemsAuthoritiesAreTheDefault() throws {
        let server = try server(clients: "no")
        let settings = try RedisSettings(url: "rediss://localhost:\(server.port)")
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings) }
        #expect(error.code == .untrustedServer)
    }

    @Test(arguments: ["localhost", "127.0.0.1"]) func anotherHostsCertificateIsRefused(_ host: String) throws
    {
        let server = try server("elsewhere")
        let error = try #require(throws: RedisError.self) { try connect(server, host: host) }
        #expect(error.code == .untrustedServer)
        #expect(error.message.contains("mismatch"), "\(error)")
    }

    @Test func aServerThatAsksForACertificateRefusesUsWithoutOne() throws {
        let server = try server()
        let error = try #require(throws: RedisError.self) { try connect(server, client: "") }
        #expect(error.code == .connectionFailed, "\(error)")
    }

    @Test(arguments: [
        "&cert_file=PATH/client.crt&key_file=PATH/server.key", "&cert_file=PATH/client.crt",
        "&cert_file=PATH/none.crt", "&cert_file=PATH/client.crt&key_file=PATH/locked.key",
    ])
    func filesThatDoNotFitAreNamed(_ client: String) throws {
        let server = try server()
        let error = try #require(throws: RedisError.self) { try connect(server, client: client) }
        #expect(error.code == .invalidSettings)
        #expect(error.message.contains("_file \(files.path)/"), "\(error)")
    }

    @Test func aMissingAuthorityIsNamed() throws {
        let server = try server()
        let error = try #require(throws: RedisError.self) {
            try connect(server, authority: "ca_file=/none.crt")
        }
        #expect(error.code == .invalidSettings)
        #expect(error.message.contains("ca_file /none.crt"))
    }

    @Test func aPortWithoutTLSIsRefused() throws {
        let server = try RedisServerProcess()
        var settings = try RedisSettings(url: "rediss://localhost:\(server.port)")
        settings.connectTimeout = .seconds(1)
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings) }
        #expect(error.code == .connectionFailed)
        #expect(!error.mayHaveExecuted)
    }

    @Test func aTLSPortIsNoPlainPort() throws {
        let server = try server()
        var settings = server.settings()
        settings.connectTimeout = .seconds(1)
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings) }
        #expect(!error.mayHaveExecuted)
    }

    @Test func frozenAndClosedConnectionsAreNoticed() throws {
        let server = try server()
        let session = try connect(server)
        try session.command(["PING"])
        let other = try connect(server, answer: .milliseconds(500))
        let id = try session.command(["CLIENT", "ID"]).integer()
        try other.command(["CLIENT", "KILL", "ID", .integer(id)])
        let error = try #require(throws: RedisError.self) { try session.command(["INCR", "k"]) }
        #expect(error.code == .connectionLost)
        #expect(!error.mayHaveExecuted)
        server.freeze()
        let silent = try #require(throws: RedisError.self) { try other.command(["INCR", "k"]) }
        #expect(silent.code == .timedOut)
        #expect(silent.mayHaveExecuted)
        server.thaw()
    }
}
