import Testing

@testable import Redis

@Suite struct RedisServerInfoTests {
    private func info(_ lines: String...) throws -> RedisServerInfo {
        try RedisServerInfo(ofAnswers: "# Server\r\n" + lines.joined(separator: "\r\n") + "\r\n")
    }

    @Test(arguments: ["6.2.0", "6.2.14", "6.10.0", "7.0.15", "8.2.1", "255.255.255"])
    func acceptsRedis(_ version: String) throws {
        try info("redis_version:\(version)").requireVersion()
    }

    @Test(arguments: ["6.0.16", "5.0.7", "2.8.24", "6", "x"])
    func refusesOlderRedisByName(_ version: String) throws {
        let info = try info("redis_version:\(version)")
        let error = try #require(throws: RedisError.self) { try info.requireVersion() }
        #expect(error.code == .unsupportedServer)
        #expect(error.message.contains("Redis \(version)"))
        #expect(!error.isRetriable)
    }

    @Test func knowsValkey() throws {
        let info = try info("redis_version:7.2.4", "server_name:valkey", "valkey_version:8.1.3")
        try info.requireVersion()
        #expect(info.description == "Valkey 8.1.3")
    }

    @Test func refusesWhatIsNoRedis() {
        #expect(throws: RedisError.self) { try info("something:else") }
    }

    @Test(arguments: ["allkeys-lru", "volatile-ttl", nil]) func refusesEviction(_ policy: String?) throws {
        let line = policy.map { "maxmemory_policy:\($0)" } ?? ""
        let info = try info("redis_version:7.0.0", line)
        let error = try #require(throws: RedisError.self) { try info.requireNoEviction() }
        #expect(error.message.contains(policy ?? "unknown"))
        #expect(error.message.contains("CONFIG SET maxmemory-policy noeviction"))
    }
}
