import Glibc
import TestSupport
import Testing

@testable import Redis

/// Conditions that a server of its own is put into.
@Suite(.serialized, .needs(.redisServer)) struct ServerConditionTests {
    private func failure(_ session: RedisSession, _ command: [RedisArgument]) throws -> RedisError {
        try #require(throws: RedisError.self) { try session.command(command) }
    }

    @Test func connectsOverAUnixSocketAsAUserOfTheACL() throws {
        let server = try RedisServerProcess(["--unixsocket", "redis.sock"])
        try server.session().command([
            "ACL", "SETUSER", "worker", "on", ">pass/word@", "~q:*", "+@all", "-client",
        ])
        let path = server.path + "/redis.sock"
        let settings = try RedisSettings(url: "unix://worker:pass%2Fword%40@\(path)?db=3")
        let session = try RedisSession(connecting: settings)
        #expect(try session.command(["ACL", "WHOAMI"]).text() == "worker")
        #expect(try session.command(["SET", "q:1", "x"]) == .status("OK"))
        let error = try failure(session, ["SET", "other", "x"])
        #expect(error.answer == .noPermission)
        #expect(!error.isRetriable && session.isUsable)
    }

    @Test func connectsAsAUserWithoutPassword() throws {
        let server = try RedisServerProcess()
        try server.session().command(["ACL", "SETUSER", "guest", "on", "nopass", "~*", "+@all"])
        let session = try RedisSession(
            connecting: RedisSettings(url: "redis://guest@127.0.0.1:\(server.port)"))
        #expect(try session.command(["ACL", "WHOAMI"]).text() == "guest")
    }

    @Test func aRenamedAUTHDoesNotTellThePassword() throws {
        let server = try RedisServerProcess(["--rename-command", "AUTH", "LOGIN"])
        var settings = server.settings()
        settings.credentials = RedisCredentials(user: "joe", password: "hunter2")
        let error = try #require(throws: RedisError.self) { try RedisSession(connecting: settings) }
        #expect(!"\(error)\(String(reflecting: error))".contains("hunter2"))
    }

    @Test func aReplicaIsLeftSoThatTheNextDialMayFindTheMaster() async throws {
        let server = try RedisServerProcess()
        let session = try server.session()
        let script = RedisScript(name: "set", source: "return redis.call('SET', KEYS[1], 'x')")
        _ = try session.run(script, keys: ["k"])
        try session.command(["REPLICAOF", "127.0.0.1", "1"])
        for error in [
            try failure(session, ["SET", "k", "x"]),
            try #require(throws: RedisError.self) { try server.session().run(script, keys: ["k"]) },
        ] {
            #expect(error.answer == .readOnly)
            #expect(error.isRetriable && error.breaksConnection)
        }
        #expect(!session.isUsable)
        let connection = RedisConnection(server.settings())
        await #expect(throws: RedisError.self) { try await connection.command(["SET", "k", "x"]) }
        try server.session().command(["REPLICAOF", "NO", "ONE"])
        #expect(try await connection.command(["SET", "k", "x"]) == .status("OK"))
    }

    @Test func aReplicaWithoutItsMasterIsLeft() throws {
        let server = try RedisServerProcess(["--replica-serve-stale-data", "no"])
        let session = try server.session()
        try session.command(["REPLICAOF", "127.0.0.1", "1"])
        #expect(try failure(session, ["GET", "k"]).answer == .masterDown)
        #expect(!session.isUsable)
    }

    @Test func fullMemoryMayBeTriedAgain() throws {
        let server = try RedisServerProcess()
        let session = try server.session()
        try session.command(["CONFIG", "SET", "maxmemory", "1"])
        let error = try failure(session, ["SET", "k", "x"])
        #expect(error.answer == RedisErrorCode("OOM"))
        #expect(error.isRetriable && !error.mayHaveExecuted && session.isUsable)
        let script = RedisScript(name: "set", source: "return redis.call('SET', KEYS[1], 'x')")
        let inner = try #require(throws: RedisError.self) { try session.run(script, keys: ["k"]) }
        #expect(inner.answer == RedisErrorCode("OOM"))
        #expect(inner.isRetriable && session.isUsable)
    }

    @Test func missingReplicasMayBeTriedAgain() throws {
        let server = try RedisServerProcess(["--min-replicas-to-write", "1"])
        let session = try server.session()
        let error = try failure(session, ["SET", "k", "x"])
        #expect(error.answer == RedisErrorCode("NOREPLICAS"))
        #expect(error.isRetriable && session.isUsable)
    }

    @Test func aFullDiskMayBeTriedAgain() throws {
        let server = try RedisServerProcess(["--save", "3600", "1", "--dbfilename", "occupied"])
        let session = try server.session()
        // A folder in the place of the snapshot's file makes writing it fail.
        #expect(mkdir(server.path + "/occupied", 0o700) == 0)
        try session.command(["BGSAVE"])
        try eventually {
            let info = try session.command(["INFO", "persistence"]).text()
            try NotYet.unless(info.contains("rdb_last_bgsave_status:err"), info)
        }
        let error = try failure(session, ["SET", "k", "x"])
        #expect(error.answer == RedisErrorCode("MISCONF"))
        #expect(error.isRetriable && session.isUsable)
    }

    @Test func aBusyServerMayBeTriedAgain() throws {
        let server = try RedisServerProcess(["--lua-time-limit", "20"])
        var quick = server.settings()
        quick.answerTimeout = .milliseconds(200)
        let looping = try RedisSession(connecting: quick)
        let error = try failure(looping, ["EVAL", "while true do end", 0])
        #expect(error.code == .timedOut)
        #expect(error.mayHaveExecuted)
        // CLIENT SETNAME is refused too, while only SCRIPT KILL is answered.
        let busy = try #require(throws: RedisError.self) { try server.session() }
        #expect(busy.answer == RedisErrorCode("BUSY"))
        #expect(busy.isRetriable && !busy.mayHaveExecuted)
    }

    @Test func aWaiterThatIsUnblockedMayTryAgain() async throws {
        let server = try RedisServerProcess()
        let connection = RedisConnection(server.settings())
        let id = try await connection.command(["CLIENT", "ID"]).integer()
        let other = try server.session()
        let popped = Task { try await connection.command(["BLPOP", "k", 20], waiting: .seconds(20)) }
        while try other.command(["CLIENT", "UNBLOCK", .integer(id), "ERROR"]).integer() == 0 {
            try await Task.sleep(for: .milliseconds(10))
        }
        let error = await #expect(throws: RedisError.self) { try await popped.value }
        #expect(error?.answer == RedisErrorCode("UNBLOCKED"))
        #expect(error?.isRetriable == true)
    }

    @Test func aServerThatLoadsMayBeTriedAgain() async throws {
        // 20 MB in 4 s and more; the server looks at its clients every 2 MB, and is told to hurry then.
        let server = try RedisServerProcess([
            "--save", "3600", "1", "--rdbcompression", "no", "--key-load-delay", "200",
        ])
        let session = try server.session()
        let populate = "for i = 1, 20000 do redis.call('SET', 'k' .. i, string.rep('x', 1000)) end"
        try session.command(["EVAL", .text(populate), 0])
        try session.command(["SAVE"])
        let connection = RedisConnection(server.settings())
        try await connection.command(["PING"])
        server.kill()
        try server.start()
        let error = await #expect(throws: RedisError.self) { try await connection.command(["GET", "k1"]) }
        #expect(error?.answer == .loading)
        #expect(error?.isRetriable == true)
        try server.session().command(["CONFIG", "SET", "key-load-delay", 0])
        let value = try await eventuallyAsync { try await connection.command(["GET", "k20000"]) }
        #expect(try value.bytes().count == 1000)
    }

    @Test func oneClientTooManyMayTryAgain() throws {
        let server = try RedisServerProcess(["--maxclients", "1"])
        let first = try eventually { try server.session() }
        let error = try #require(throws: RedisError.self) { try server.session() }
        #expect(error.code == .connectionFailed)
        #expect(error.isRetriable)
        #expect(try first.command(["PING"]) == .status("PONG"))
    }

    /// With the defaults, as a worker has them.
    @Test func aFrozenServerIsNoticedWithinFiveSeconds() async throws {
        let server = try RedisServerProcess()
        let connection = RedisConnection(server.settings())
        try await connection.command(["PING"])
        server.freeze()
        let start = ContinuousClock.now
        let error = await #expect(throws: RedisError.self) { try await connection.command(["INCR", "k"]) }
        let elapsed = start.duration(to: .now)
        #expect(error?.code == .timedOut)
        #expect(error?.mayHaveExecuted == true)
        #expect(elapsed > .seconds(4.9) && elapsed < .seconds(5.5))
        server.thaw()
        #expect(try await connection.command(["INCR", "k"]).integer() >= 1)
    }

    @Test func aPausedServerIsNoticed() throws {
        let server = try RedisServerProcess()
        var settings = server.settings()
        settings.answerTimeout = .milliseconds(300)
        let session = try RedisSession(connecting: settings)
        try session.command(["CLIENT", "PAUSE", 5000, "ALL"])
        #expect(try failure(session, ["GET", "k"]).code == .timedOut)
        #expect(!session.isUsable)
    }

    @Test func aRestartedServerIsFoundAgain() async throws {
        let server = try RedisServerProcess()
        let connection = RedisConnection(server.settings())
        let script = RedisScript(name: "one", source: "return 1")
        #expect(try await connection.run(script, keys: []).integer() == 1)
        server.kill()
        let error = await #expect(throws: RedisError.self) { try await connection.run(script, keys: []) }
        #expect(error?.code == .connectionFailed)
        #expect(error?.isRetriable == true)
        try server.start()
        #expect(try await connection.run(script, keys: []).integer() == 1)
    }

    @Test func anEvictingServerIsRefused() throws {
        let server = try RedisServerProcess(["--maxmemory-policy", "allkeys-lru"])
        let error = try #require(throws: RedisError.self) { try server.session().requireSupportedServer() }
        #expect(error.code == .unsupportedServer)
        #expect(error.message.contains("allkeys-lru"))
    }
}
