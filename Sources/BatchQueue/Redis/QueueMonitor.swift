package import Redis

/// Looks at a queue, and passes on what an operator wants: for `status`, `failures`, `pause` and the like, and
/// for whoever waits for a job.
package struct QueueMonitor: Sendable {
    let connection: RedisConnection
    package let queue: QueueName

    package init(_ connection: RedisConnection, queue: QueueName) {
        self.connection = connection
        self.queue = queue
    }

    // MARK: The job

    /// What Redis says of the job on the queue; nil where there has been none.
    package struct StoredJob: Sendable, Hashable {
        package let id: String
        /// JSON, and its authentication code in hex: to be verified before anything in it is believed.
        package let record: String
        package let recordCode: String
        package let state: String
        /// By Redis' clock, milliseconds since 1970; 0 where Redis does not say.
        package let startedAt: Int
        package let isPaused: Bool

        package init(
            id: String, record: String, recordCode: String, state: String, startedAt: Int, isPaused: Bool
        ) {
            self.isPaused = isPaused
            self.id = id
            self.record = record
            self.recordCode = recordCode
            self.state = state
            self.startedAt = startedAt
        }

        /// Somebody works on it, or should.
        package var isRunning: Bool { RedisWorkerQueue.isRunning(state) }
    }

    /// - Returns: nil as well where the job's progress has been lost: its leader tells it again.
    package func job() async throws -> StoredJob? {
        let (state, progress) = (queue.key("state"), queue.key("progress"))
        // Two keys at one instant: a new job's state must not be taken for the old one's.
        let answers = try await connection.perform { session in
            session.pipeline([
                ["MULTI"], ["HMGET", .text(state), "job", "record", "record_code"],
                ["HMGET", .text(progress), "state", "started_at", "paused"], ["EXEC"],
            ])
        }
        // What could not be queued says why (no memory); EXEC would only say that something could not.
        for answer in answers { _ = try answer.get() }
        let both = try answers[3].get().elements()
        let (stored, shown) = (try both[0].elements(), try both[1].elements())
        guard let id = try stored[0].unlessNull?.text(), let state = try shown[0].unlessNull?.text() else {
            return nil
        }
        return StoredJob(
            id: id, record: try stored[1].unlessNull?.text() ?? "",
            recordCode: try stored[2].unlessNull?.text() ?? "", state: state,
            startedAt: QueueCounter.bounded(try shown[1].unlessNull?.text()),
            isPaused: try shown[2].unlessNull?.text() == "1")
    }

    // MARK: Progress

    package func snapshot() async throws -> QueueSnapshot {
        let reply = try await connection.run(
            QueueScripts.tick, keys: [queue.key("progress")], arguments: ["", "", "", ""])
        return try QueueSnapshot(tick: reply.elements())
    }

    // MARK: Control

    package enum Order: String, CaseIterable, Sendable {
        case pause
        case resume
        case cancel
    }

    /// - Returns: false where no job runs.
    package func give(_ order: Order) async throws -> Bool {
        let reply = try await connection.run(
            QueueScripts.control, keys: [queue.key("progress")], arguments: [.text(order.rawValue)])
        return try reply.text() == "ok"
    }

    /// Hands failed records of the running job out again.
    /// - Returns: how many; nil where no job runs.
    package func retryFailures() async throws -> Int? {
        let reply = try await connection.run(QueueScripts.retryFailures, keys: [queue.key("progress")])
        guard case .array(let counts) = reply else { return nil }
        return try counts[0].integer()
    }

    // MARK: Failures

    /// A failed record as Redis keeps it.
    package struct StoredFailure: Sendable, Encodable {
        package let table: String
        /// One text, or one for each column of a composite id.
        package let id: [String]
        package let column: String
        package let reason: String
        package let keyID: String?
        /// ms since the epoch.
        package let at: Int64

        package enum CodingKeys: String, CodingKey {
            case table, id, column, reason, at
            case keyID = "key_id"
        }

        /// An id of one column is a string, of several an array; a key id that cannot be read is null.
        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(table, forKey: .table)
            if id.count == 1 {
                try container.encode(id[0], forKey: .id)
            } else {
                try container.encode(id, forKey: .id)
            }
            try container.encode(column, forKey: .column)
            try container.encode(keyID, forKey: .keyID)
            try container.encode(reason, forKey: .reason)
            try container.encode(at, forKey: .at)
        }
    }

    /// Visits the failed records that are kept, in no order.
    package func forEachFailure(_ body: (StoredFailure) throws -> Void) async throws {
        var cursor = "0"
        repeat {
            let page = try await connection.command([
                "HSCAN", .text(queue.key("failures")), .text(cursor), "COUNT", "500",
            ]).elements()
            cursor = try page[0].text()
            for (field, value) in try page[1].fields() {
                do {
                    try body(try StoredFailure(field: field, value: value.text()))
                } catch is DecodingError {
                    try body(
                        StoredFailure(
                            table: "?", id: [field], column: "?", reason: "the entry in Redis cannot be read",
                            keyID: nil, at: 0))
                }
            }
        } while cursor != "0"
    }
}

extension QueueMonitor.StoredFailure {
    init(field: String, value: String) throws {
        struct Name: Decodable {
            let table: String
            let id: [String]
            let column: String

            init(from decoder: any Decoder) throws {
                var container = try decoder.unkeyedContainer()
                table = try container.decode(String.self)
                do {
                    id = [try container.decode(String.self)]
                } catch is DecodingError {
                    id = try container.decode([String].self)
                }
                column = try container.decode(String.self)
            }
        }
        let name = try JSONText.decode(Name.self, field)
        let entry = try JSONText.decode(FailureEntry.self, value)
        self.init(
            table: name.table, id: name.id, column: name.column, reason: entry.reason, keyID: entry.keyID,
            at: entry.at)
    }
}
