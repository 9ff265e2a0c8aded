import BatchQueue
import FoundationEssentials

/// The fields that Redis holds of a job, its tables and its workers, as a picture for people or as JSON.
struct QueueStatus {
    struct Worker: Encodable {
        let id: String
        let ageMilliseconds: Int
        let fields: [String: String]
    }

    let queue: String
    let progress: [String: String]
    let tables: [(name: String, fields: [String: String])]
    let workers: [Worker]

    static func read(_ monitor: QueueMonitor) async throws -> QueueStatus {
        let progress = try await monitor.progressFields()
        var names: [String] = []
        if let text = progress["tables"], !text.isEmpty {
            names = try JSONDecoder().decode([String].self, from: Data(text.utf8))
        }
        var tables: [(String, [String: String])] = []
        for name in names { tables.append((name, try await monitor.progressFields(table: name))) }
        let workers = try await monitor.workers().map {
            Worker(id: $0.id, ageMilliseconds: $0.age, fields: $0.fields)
        }
        return QueueStatus(
            queue: monitor.queue.description, progress: progress, tables: tables, workers: workers)
    }

    var isRunning: Bool {
        ["enumerating", "draining", "verifying"].contains(progress["state"] ?? "")
    }

    private func number(_ field: String, _ fields: [String: String]) -> Int { Int(fields[field] ?? "") ?? 0 }

    func json() throws -> String {
        struct Picture: Encodable {
            let queue: String
            let progress: [String: String]
            let tables: [String: [String: String]]
            let workers: [Worker]
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let picture = Picture(
            queue: queue, progress: progress,
            tables: Dictionary(tables.map { ($0.name, $0.fields) }, uniquingKeysWith: { first, _ in first }),
            workers: workers)
        return String(decoding: try encoder.encode(picture), as: UTF8.self)
    }

    func text() -> String {
        guard let job = progress["job"], !job.isEmpty else { return "No job on queue \(queue).\n" }
        let (done, total) = (number("records_done", progress), number("records_total", progress))
        var text = "Job \(job) on queue \(queue): \(progress["state"] ?? "")"
        if progress["paused"] == "1" { text += ", paused" }
        if let reason = progress["throttled"], !reason.isEmpty { text += ", throttled: \(reason)" }
        text +=
            "\nTarget \(progress["target_key"] ?? ""), mode \(progress["mode"] ?? ""), sweep \(progress["sweep"] ?? "")\n"
        text += "\(Quantity.grouped(done)) of \(Quantity.grouped(total)) records handed out are done"
        if let rate = progress["records_per_second"], !rate.isEmpty { text += ", \(rate)/s" }
        if let eta = progress["eta_seconds"].flatMap({ Int($0) }) {
            text += ", \(Quantity.duration(.seconds(eta))) left"
        }
        text += "\n\n"
        var table = TextTable(["table", "records", "done", "failed", "pending", "leased", "delayed", "dead"])
        for (name, fields) in tables + [("all", progress)] {
            table.add(
                [name]
                    + [
                        "records_total", "records_done", "records_failed", "batches_pending",
                        "batches_leased",
                        "batches_delayed", "batches_dead",
                    ].map { Quantity.grouped(number($0, fields)) })
        }
        text += table.text(numeric: [1, 2, 3, 4, 5, 6, 7]) + "\n"
        if workers.isEmpty { return text + "  no worker has given a sign of life within the last minute\n" }
        var list = TextTable(["worker", "last seen", "lanes", "records", "per s", "version"])
        for worker in workers {
            let fields = worker.fields
            list.add([
                worker.id, "\(worker.ageMilliseconds / 1_000) s ago", fields["lanes"] ?? "",
                Quantity.grouped(number("records_done", fields)), fields["records_per_second"] ?? "",
                fields["version"] ?? "",
            ])
        }
        return text + list.text(numeric: [1, 2, 3, 4])
    }
}
