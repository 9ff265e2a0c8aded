import Redis

/// Everything that a viewer is shown of a queue at one time, as Redis holds it: fields are texts, what is unknown
/// is the empty one.
package struct QueuePicture: Sendable, Encodable {
    package let queue: String
    /// By Redis' clock, in ms since the epoch.
    package let time: Int64
    /// The hash `progress`; empty where there has been no job.
    package let progress: [String: String]
    /// The hashes `progress:<table>` with the table's `name`, in the catalog's order.
    package let tables: [[String: String]]
    package let census: [CensusGroup]
    /// The hashes `worker:<id>` with `id` and `last_heartbeat`, in ms.
    package let workers: [[String: String]]

    package init(
        queue: String, time: Int64, progress: [String: String], tables: [[String: String]],
        census: [CensusGroup],
        workers: [[String: String]]
    ) {
        self.queue = queue
        self.time = time
        self.progress = progress
        self.tables = tables
        self.census = census
        self.workers = workers
    }

    package struct CensusGroup: Sendable, Encodable {
        package let table: String
        package let column: String
        /// Nil for values that are no envelope.
        package let keyID: String?
        package let records: Int

        package init(table: String, column: String, keyID: String?, records: Int) {
            self.table = table
            self.column = column
            self.keyID = keyID
            self.records = records
        }

        enum CodingKeys: String, CodingKey {
            case table, column, records
            case keyID = "key_id"
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(table, forKey: .table)
            try container.encode(column, forKey: .column)
            try container.encode(keyID, forKey: .keyID)
            try container.encode(records, forKey: .records)
        }
    }

    /// Old records of a table, or of all, by the last census; nil where there has been none.
    package func oldRecords(of table: String? = nil) -> Int? {
        if census.isEmpty { return nil }
        return census.filter { (table == nil || $0.table == table) && $0.keyID != progress["target_key"] }
            .reduce(0) { $0 + $1.records }
    }

    package var isRunning: Bool { RedisWorkerQueue.isRunning(progress["state"] ?? "") }
}

extension QueuePicture {
    /// Reads a queue in two round trips, by commands that only read.
    init(of queue: QueueName, _ session: RedisSession) throws {
        func read(_ commands: [[RedisArgument]]) throws -> [RedisReply] {
            try session.pipeline(commands).map { try $0.get() }
        }
        func texts(_ reply: RedisReply) throws -> [String: String] {
            try reply.fields().mapValues { try $0.text() }
        }
        let first = try read([
            ["TIME"], ["HGETALL", .text(queue.key("progress"))], ["HGETALL", .text(queue.key("census"))],
            ["ZRANGE", .text(queue.key("workers")), "0", "-1", "WITHSCORES"],
        ])
        let clock = try first[0].elements()
        time = Int64(try clock[0].integer() * 1_000 + clock[1].integer() / 1_000)
        self.queue = queue.description
        let progress = try texts(first[1])
        self.progress = progress
        census = try texts(first[2]).compactMap { field, value in
            // What is no group is somebody else's; the rest is still worth seeing.
            guard let group = try? JSONText.decode([String?].self, field), group.count == 3,
                let table = group[0], let column = group[1]
            else { return nil }
            return CensusGroup(
                table: table, column: column, keyID: group[2], records: QueueCounter.bounded(value))
        }.sorted { ($0.table, $0.column, $0.keyID ?? "~") < ($1.table, $1.column, $1.keyID ?? "~") }

        let names = try progress["tables"].flatMap {
            $0.isEmpty ? nil : try JSONText.decode([String].self, $0)
        }
        let listed = try first[3].elements()
        let workers = try stride(from: 0, to: listed.count, by: 2).map { index in
            (id: try listed[index].text(), heartbeat: try listed[index + 1].integer())
        }
        let second = try read(
            (names ?? []).map { ["HGETALL", .text(queue.key("progress:" + $0))] }
                + workers.map { ["HGETALL", .text(queue.key("worker:" + $0.id))] })
        tables = try zip(names ?? [], second).map { name, reply in
            try texts(reply).merging(["name": name]) { _, name in name }
        }
        self.workers = try zip(workers, second.dropFirst(names?.count ?? 0)).map { worker, reply in
            try texts(reply).merging(["id": worker.id, "last_heartbeat": String(worker.heartbeat)]) {
                _, ours in
                ours
            }
        }
    }
}
