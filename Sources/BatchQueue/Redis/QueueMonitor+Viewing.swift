import Redis

/// What live views read: by commands that only read.
extension QueueMonitor {
    package func picture() async throws -> QueuePicture {
        let queue = queue
        return try await connection.perform { session in try QueuePicture(of: queue, session) }
    }

    /// The newest samples, each `[ms, records done, records a second or null]` as JSON; oldest first.
    /// - Parameter most: nil for the whole ring, which reaches back to the job's start.
    package func samples(most: Int? = nil) async throws -> [String] {
        let last = most.map { String($0 - 1) } ?? "-1"
        let texts = try await connection.command(["LRANGE", .text(queue.key("samples")), "0", .text(last)])
        return try texts.elements().reversed().map { try $0.text() }
    }

    /// The reports of finished jobs as JSON, newest first.
    package func history() async throws -> [String] {
        try await connection.command(["LRANGE", .text(queue.key("history")), "0", "-1"]).elements()
            .map { try $0.text() }
    }

    package struct Event: Sendable, Encodable {
        /// ms since the epoch, by Redis' clock.
        package let at: Int64
        package let kind: String
        package let fields: [String: String]

        package init(at: Int64, kind: String, fields: [String: String]) {
            self.at = at
            self.kind = kind
            self.fields = fields
        }
    }

    /// The newest events, newest first.
    package func events(most: Int) async throws -> [Event] {
        let reply = try await connection.command([
            "XREVRANGE", .text(queue.key("events")), "+", "-", "COUNT", .integer(most),
        ])
        return try reply.elements().map { entry in
            let parts = try entry.elements()
            var fields = try parts[1].fields().mapValues { try $0.text() }
            let kind = fields.removeValue(forKey: "kind") ?? "unknown"
            let at = try parts[0].text().split(separator: "-").first.flatMap { Int64($0) } ?? 0
            return Event(at: at, kind: kind, fields: fields)
        }
    }
}
