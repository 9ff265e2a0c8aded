import BatchQueue
import Redis
import TestSupport

/// A fresh queue with both of its sides. Where there is no `Service.redis`, the in-memory queue is tested alone.
struct QueueUnderTest: Sendable {
    enum Kind: Sendable, CaseIterable, CustomStringConvertible {
        case inMemory
        case redis

        static var available: [Kind] { Service.redis.isThere ? allCases : [.inMemory] }
        var description: String { self == .redis ? "Redis" : "in memory" }
    }

    let worker: any BatchQueue
    let coordinator: any CoordinatorQueue

    static func make(_ kind: Kind) async throws -> QueueUnderTest {
        switch kind {
        case .inMemory:
            let queue = InMemoryBatchQueue(failures: try FailureSpool())
            return QueueUnderTest(worker: queue, coordinator: queue)
        case .redis:
            let queue = try await RedisQueueUnderTest.make()
            return QueueUnderTest(worker: queue.worker, coordinator: queue.coordinator)
        }
    }

    func enqueue(_ records: [Int]) async throws {
        try await coordinator.enqueue(records.map { .sample(records: $0) }, cursor: .start)
    }
}

/// The same with what only Redis has.
struct RedisQueueUnderTest: Sendable {
    let name: QueueName
    let job: String
    let connection: RedisConnection
    let coordinator: RedisCoordinatorQueue
    let worker: RedisWorkerQueue

    static func make() async throws -> RedisQueueUnderTest {
        let url = try RedisSettings(url: Service.redis.value ?? "", clientName: "tests")
        let connection = RedisConnection(url)
        let job = String(UInt64.random(in: 1...UInt64.max), radix: 16)
        let name = QueueName(unchecked: "test-\(job)")
        let coordinator = coordinator(connection, name, job)
        _ = try await coordinator.open(seen: nil)
        return RedisQueueUnderTest(
            name: name, job: job, connection: connection, coordinator: coordinator,
            worker: worker(connection, name, job))
    }

    static func coordinator(
        _ connection: RedisConnection, _ name: QueueName, _ job: String
    ) -> RedisCoordinatorQueue {
        RedisCoordinatorQueue(
            connection, queue: name,
            job: RedisCoordinatorQueue.JobDescription(
                id: job, record: "{}", recordCode: "00", targetKeyID: "kek-v2", mode: "rewrap", tables: ["t"]),
            stillLeads: { true }, onTrouble: { _ in })
    }

    static func worker(_ connection: RedisConnection, _ name: QueueName, _ job: String) -> RedisWorkerQueue {
        RedisWorkerQueue(
            connection, queue: name, job: job,
            identity: RedisWorkerQueue.Identity(id: "w", host: "h", pid: 1, version: "0", lanes: 1),
            onTrouble: { _ in }, onFailure: { _ in })
    }

    func command(_ words: String...) async throws -> RedisReply {
        try await connection.command(words.map { .text($0) })
    }

    /// Lets every lease run out at once.
    func expireLeases() async throws {
        let listed = try await command("ZRANGE", name.key("leases"), "0", "-1").elements()
        for sequence in listed {
            _ = try await command("ZADD", name.key("leases"), "0", try sequence.text())
        }
    }
}
