import TestSupport
import Testing

@testable import Redis

@Suite(.serialized, .needs(.redisServer)) struct SentinelTests {
    private final class Constellation {
        let master: RedisServerProcess
        let replica: RedisServerProcess
        let sentinels: [RedisServerProcess]

        init() throws {
            master = try RedisServerProcess(["--repl-diskless-sync-delay", "0"])
            replica = try RedisServerProcess(
                ["--replicaof", "127.0.0.1", "\(master.port)", "--repl-diskless-sync-delay", "0"])
            let session = try replica.session()
            try eventually {
                let info = try session.command(["INFO", "replication"]).text()
                try NotYet.unless(info.contains("master_link_status:up"), info)
            }
            var sentinels: [RedisServerProcess] = []
            for _ in 0..<3 {
                let port = try FreePort.next()
                let configuration = """
                    port \(port)
                    bind 127.0.0.1
                    requirepass watch
                    sentinel sentinel-pass watch
                    sentinel monitor the-master 127.0.0.1 \(master.port) 2
                    sentinel down-after-milliseconds the-master 500
                    sentinel failover-timeout the-master 3000

                    """
                sentinels.append(
                    try RedisServerProcess(["--sentinel"], configuration: configuration, port: port))
            }
            self.sentinels = sentinels
        }

        var list: String { sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",") }

        func settings(_ list: String? = nil, master: String = "the-master") throws -> RedisSettings {
            try RedisSettings(
                url: "redis+sentinel://\(list ?? self.list)/\(master)/1?sentinel_password=watch")
        }

        func waitUntilSentinelsKnowOneAnother() throws {
            for sentinel in sentinels {
                var settings = sentinel.settings()
                settings.credentials = RedisCredentials(user: nil, password: "watch")
                let session = try RedisSession(connecting: settings)
                try eventually {
                    let sentinels = try session.command(["SENTINEL", "sentinels", "the-master"]).elements()
                    let replicas = try session.command(["SENTINEL", "replicas", "the-master"]).elements()
                    try NotYet.unless(
                        sentinels.count == 2 && replicas.count == 1,
                        "\(sentinels.count) sentinels, \(replicas.count) replicas")
                }
            }
        }
    }

    @Test func theMasterIsFoundAndFollowed() async throws {
        let stars = try Constellation()
        try stars.waitUntilSentinelsKnowOneAnother()
        let connection = RedisConnection(try stars.settings())
        let first = try await connection.perform { session in session.address }
        #expect(first == .tcp(host: "127.0.0.1", port: stars.master.port))
        try await connection.command(["SET", "k", "1"])
        try await connection.command(["WAIT", 1, 2000])

        stars.master.kill()
        // The first dial may already last until the sentinels have agreed.
        let start = ContinuousClock.now
        let value = try await eventuallyAsync(within: .seconds(30)) {
            try await connection.command(["INCR", "k"])
        }
        #expect(try value.integer() >= 2)
        let second = try await connection.perform { session in session.address }
        #expect(second == .tcp(host: "127.0.0.1", port: stars.replica.port))
        print("failover took \(start.duration(to: .now))")
    }

    @Test func sentinelsThatAreAwayCostTheirShareOnly() throws {
        let stars = try Constellation()
        let hole = try LoopbackListener()
        let nobody = try FreePort.next()
        let list = "127.0.0.1:\(hole.port),127.0.0.1:\(nobody),127.0.0.1:\(stars.sentinels[0].port)"
        var settings = try stars.settings(list)
        settings.connectTimeout = .seconds(2)
        let start = ContinuousClock.now
        let session = try RedisSession(connecting: settings)
        #expect(start.duration(to: .now) < .seconds(1))
        #expect(try session.command(["SET", "k", "x"]) == .status("OK"))
    }

    /// The sentinels still name a server that is a replica by now.
    @Test func whatIsNoMasterIsRefused() throws {
        let stars = try Constellation()
        let replica = stars.replica.port
        let named = "*2\r\n$9\r\n127.0.0.1\r\n$\(String(replica).utf8.count)\r\n\(replica)\r\n"
        let liar = try ScriptedServer(Array(repeating: [.read(40), .write(named), .read(1000)], count: 100))
        var settings = try RedisSettings(url: "redis+sentinel://127.0.0.1:\(liar.port)/the-master")
        settings.connectTimeout = .milliseconds(600)
        let start = ContinuousClock.now
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings) }
        #expect(error.code == .connectionFailed)
        #expect(error.message.contains("no master now"))
        #expect(start.duration(to: .now) > .milliseconds(400))
    }

    @Test func anUnknownMasterIsAMistake() throws {
        let stars = try Constellation()
        let start = ContinuousClock.now
        let error = try #require(throws: RedisError.self) {
            try RedisSession(connecting: stars.settings(master: "nonesuch"))
        }
        #expect(error.code == .invalidSettings)
        #expect(error.message.contains("nonesuch"))
        #expect(!error.isRetriable)
        #expect(start.duration(to: .now) < .seconds(2))
    }

    @Test func aSentinelsPasswordIsItsOwn() throws {
        let stars = try Constellation()
        let settings = try RedisSettings(url: "redis+sentinel://\(stars.list)/the-master")
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings) }
        #expect(error.answer == RedisErrorCode("NOAUTH"))
        #expect(!error.isRetriable)
    }
}
