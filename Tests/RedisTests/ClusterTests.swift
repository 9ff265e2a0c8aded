import Synchronization
import TestSupport
import Testing

@testable import Redis

@Suite(.serialized, .needs(.redisServer)) struct ClusterTests {
    /// Three masters with a third of the slots each, and no replicas.
    private final class Cluster {
        let nodes: [RedisServerProcess]
        let ids: [String]

        init() throws {
            let nodes = try (0..<3).map { _ in try RedisServerProcess(["--cluster-enabled", "yes"]) }
            let sessions = try nodes.map { try $0.session() }
            for (index, session) in sessions.enumerated() {
                let slots = (index * 5462)..<min((index + 1) * 5462, 16384)
                try session.command(["CLUSTER", "ADDSLOTS"] + slots.map { .integer($0) })
                try session.command(["CLUSTER", "SET-CONFIG-EPOCH", .integer(index + 1)])
                try session.command(["CLUSTER", "MEET", "127.0.0.1", .integer(nodes[0].port)])
            }
            for session in sessions {
                try eventually(within: .seconds(30)) {
                    let info = try session.command(["CLUSTER", "INFO"]).text()
                    try NotYet.unless(
                        info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3"), info)
                }
            }
            self.nodes = nodes
            ids = try sessions.map { try $0.command(["CLUSTER", "MYID"]).text() }
        }

        /// A key whose slot is a node's, the slot, and the node.
        func key(on node: Int) throws -> (key: String, slot: Int) {
            let session = try nodes[0].session()
            for number in 0..<1000 {
                let key = "reencrypt:{q\(number)}:pending"
                let slot = try session.command(["CLUSTER", "KEYSLOT", .text(key)]).integer()
                if slot / 5462 == node { return (key, slot) }
            }
            throw RedisError(.unexpectedAnswer, "no key for node \(node)")
        }
    }

    /// It takes Redis two seconds to answer as a cluster: one serves all tests that leave its nodes alone.
    private static let shared = Mutex<Cluster?>(nil)

    private func withSharedCluster(_ body: (Cluster) throws -> Void) throws {
        try Self.shared.withLock { shared in
            let cluster = try shared ?? Cluster()
            shared = cluster
            try body(cluster)
        }
    }

    @Test func theSessionStaysWhereItWasSent() throws {
        try withSharedCluster { cluster in
            let (key, _) = try cluster.key(on: 2)
            let session = try cluster.nodes[0].session()
            #expect(try session.command(["SET", .text(key), "x"]) == .status("OK"))
            #expect(session.address == .tcp(host: "127.0.0.1", port: cluster.nodes[2].port))
            #expect(try session.command(["CLUSTER", "MYID"]).text() == cluster.ids[2])
            let script = RedisScript(name: "get", source: "return redis.call('GET', KEYS[1])")
            #expect(try session.run(script, keys: [key]).text() == "x")

            let fresh = try cluster.nodes[1].session()
            let results = fresh.pipeline([["APPEND", .text(key), "y"], ["PING"], ["GET", .text(key)]])
            #expect(try results[0].get() == .integer(2))
            #expect(try results[1].get() == .status("PONG"))
            #expect(try results[2].get().text() == "xy")

            let scripted = try cluster.nodes[1].session()
            #expect(try scripted.run(script, keys: [key]).text() == "xy")
        }
    }

    /// A slot on its way: what is still at the source is answered there, the rest is asked for at the target.
    @Test func aSlotThatIsMovingIsAnsweredByBothNodes() throws {
        try withSharedCluster { cluster in
            let (key, slot) = try cluster.key(on: 0)
            let source = try cluster.nodes[0].session()
            let target = try cluster.nodes[1].session()
            let stays = RedisArgument.text(key)
            let moves = RedisArgument.text(key + ":2")
            try source.command(["MSET", stays, "s", moves, "m"])
            try target.command(["CLUSTER", "SETSLOT", .integer(slot), "IMPORTING", .text(cluster.ids[0])])
            try source.command(["CLUSTER", "SETSLOT", .integer(slot), "MIGRATING", .text(cluster.ids[1])])
            try source.command(["MIGRATE", "127.0.0.1", .integer(cluster.nodes[1].port), moves, 0, 2000])

            let session = try cluster.nodes[0].session()
            let results = session.pipeline([
                ["GET", stays], ["GET", moves], ["APPEND", moves, "!"], ["PING"],
            ])
            #expect(try results[0].get().text() == "s")
            #expect(try results[1].get().text() == "m")
            #expect(try results[2].get() == .integer(2))
            #expect(try results[3].get() == .status("PONG"))
            // Asked for once: the session is still at the source.
            #expect(session.address == .tcp(host: "127.0.0.1", port: cluster.nodes[0].port))
            let script = RedisScript(name: "get", source: "return redis.call('GET', KEYS[1])")
            #expect(try session.run(script, keys: [key + ":2"]).text() == "m!")
            let both = try #require(throws: RedisError.self) { try session.command(["MGET", stays, moves]) }
            #expect(both.answer == RedisErrorCode("TRYAGAIN"))
            #expect(both.isRetriable && session.isUsable)

            try source.command(["MIGRATE", "127.0.0.1", .integer(cluster.nodes[1].port), stays, 0, 2000])
            for node in cluster.nodes {
                try node.session().command([
                    "CLUSTER", "SETSLOT", .integer(slot), "NODE", .text(cluster.ids[1]),
                ])
            }
            #expect(
                try session.command(["MGET", stays, moves])
                    == .array([.string([0x73]), .string([0x6D, 0x21])]))
            #expect(session.address == .tcp(host: "127.0.0.1", port: cluster.nodes[1].port))
        }
    }

    @Test func aNodeThatWasGoneIsFoundAgain() async throws {
        let cluster = try Cluster()
        let (key, _) = try cluster.key(on: 2)
        let connection = RedisConnection(cluster.nodes[0].settings())
        try await connection.command(["SET", .text(key), "x"])
        cluster.nodes[2].kill()
        let lost = await #expect(throws: RedisError.self) {
            try await connection.command(["GET", .text(key)])
        }
        #expect(lost?.isRetriable == true)
        try cluster.nodes[2].start()
        // Its configuration is on disk, its data is not.
        #expect(try await eventuallyAsync { try await connection.command(["GET", .text(key)]) } == .null)
    }

    @Test func keysOfTwoSlotsAreAMistake() throws {
        try withSharedCluster { cluster in
            let session = try cluster.nodes[0].session()
            let error = try #require(throws: RedisError.self) { try session.command(["MGET", "a", "b"]) }
            #expect(error.answer == RedisErrorCode("CROSSSLOT"))
            #expect(!error.isRetriable)
        }
    }
}
