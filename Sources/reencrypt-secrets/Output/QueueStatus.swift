import BatchQueue
import FoundationEssentials

/// What Redis holds of a job, its tables and its workers: as text for people, as JSON for programs, as a line for logs.
struct QueueStatus {
    let picture: QueuePicture

    private var progress: QueueFields { QueueFields(picture.progress) }

    func json() throws -> String {
        struct Worker: Encodable {
            let id: String
            let ageMilliseconds: Int64
            let fields: [String: String]
        }
        struct Status: Encodable {
            let queue: String
            let progress: [String: String]
            let tables: [String: [String: String]]
            let workers: [Worker]
        }
        func without(_ names: [String], _ fields: [String: String]) -> [String: String] {
            fields.filter { !names.contains($0.key) }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let status = Status(
            queue: picture.queue, progress: picture.progress,
            tables: Dictionary(
                picture.tables.map { ($0["name"] ?? "", without(["name"], $0)) },
                uniquingKeysWith: { first, _ in first }),
            workers: picture.workers.map {
                Worker(
                    id: $0["id"] ?? "",
                    ageMilliseconds: picture.time &- (Int64($0["last_heartbeat"] ?? "") ?? 0),
                    fields: without(["id", "last_heartbeat"], $0))
            })
        return String(decoding: try encoder.encode(status), as: UTF8.self)
    }

    func text() -> String {
        guard let job = progress["job"] else { return "No job on queue \(picture.queue).\n" }
        var text = Self.headline(job, picture)
        if let reason = progress["throttled"] { text += ", throttled: \(reason)" }
        text +=
            "\nTarget \(progress["target_key"] ?? ""), mode \(progress["mode"] ?? ""), sweep \(progress["sweep"] ?? "")\n"
        text +=
            "\(Quantity.grouped(progress.number("records_done"))) of \(Quantity.grouped(progress.number("records_total")))"
        text += " records handed out are done"
        if let rate = progress["records_per_second"] { text += ", \(rate)/s" }
        if let left = progress.timeLeft { text += ", \(left) left" }
        text += "\n\n"
        var table = TextTable(["table", "records", "done", "failed", "pending", "leased", "delayed", "dead"])
        let columns = [
            "records_total", "records_done", "records_failed", "batches_pending", "batches_leased",
            "batches_delayed", "batches_dead",
        ]
        for fields in picture.tables.map(QueueFields.init) + [progress] {
            table.add([fields["name"] ?? "all"] + columns.map { Quantity.grouped(fields.number($0)) })
        }
        text += table.text(numeric: [1, 2, 3, 4, 5, 6, 7]) + "\n"
        return text + WorkerTable.text(picture, most: .max)
    }

    /// Which job it is, and its state.
    static func headline(_ job: String, _ picture: QueuePicture) -> String {
        let progress = QueueFields(picture.progress)
        return "Job \(job) on queue \(picture.queue): \(progress["state"] ?? "")"
            + (progress["paused"] == "1" ? ", paused" : "")
    }

    /// What a watcher wants to know at once where it changes; a reason's numbers change all the time.
    var standing: String {
        ["job", "state", "sweep", "paused"].map { progress[$0] ?? "" }.joined(separator: "|")
            + "|" + (progress["throttled"] ?? "").filter { !$0.isNumber }
    }

    /// How the job stands, in one line.
    func line() -> String {
        guard let job = progress["job"] else { return "No job on queue \(picture.queue)." }
        var line = "Job \(job): \(progress["state"] ?? "")"
        line +=
            ", \(progress.number("records_done")) of \(progress.number("records_total")) records handed out done"
        if progress.number("records_failed") > 0 { line += ", \(progress.number("records_failed")) failed" }
        if let rate = progress["records_per_second"] { line += ", \(rate) records/s" }
        if let left = progress.timeLeft { line += ", \(left) left" }
        line += ", \(picture.workers.count) workers"
        if progress["paused"] == "1" { line += ", paused" }
        if let reason = progress["throttled"] { line += ", throttled: \(reason)" }
        return line
    }
}
