import BatchQueue
import Redis

/// What `status --watch` draws on a terminal: the job and each table as a bar, the workers, the last events. No line is
/// longer than the terminal, and there are no more than it has, so that the next picture can be drawn over it.
struct StatusScreen {
    let picture: QueuePicture
    /// Newest first.
    let events: [QueueMonitor.Event]

    /// Batches come by the hundred a second, and their bars show them.
    static func isWorthALine(_ event: QueueMonitor.Event) -> Bool { event.kind != "batch_done" }

    private static let eventsShown = 5
    private static let fewestWorkers = 2
    private static let barRoom = 30

    private var progress: QueueFields { QueueFields(picture.progress) }

    /// - Parameters: the terminal's size, in characters.
    func lines(width: Int, height: Int) -> [String] {
        guard let job = progress["job"] else { return ["No job on queue \(picture.queue)."] }
        var lines = head(job) + [""] + tables(width)
        var last: [String] = []
        if !events.isEmpty {
            last = ["", "  last events (UTC)"] + events.prefix(Self.eventsShown).map(Self.line)
        }
        lines += [""] + workers(most: max(Self.fewestWorkers, height - lines.count - last.count - 5)) + last
        if lines.count > height { lines = lines.prefix(max(0, height - 1)) + (height > 0 ? ["  …"] : []) }
        return lines.map { Self.fitted($0, width) }
    }

    private func head(_ job: String) -> [String] {
        var lines = [QueueStatus.headline(job, picture)]
        if let reason = progress["throttled"] { lines.append("Throttled: \(reason)") }
        var second = "Target \(progress["target_key"] ?? ""), mode \(progress["mode"] ?? ""),"
        second += " sweep \(progress["sweep"] ?? "")"
        if let rate = progress["records_per_second"] {
            second += " · \(Quantity.grouped(Int(rate) ?? 0)) records/s"
        }
        if let left = progress.timeLeft { second += " · \(left) left" }
        return lines + [second]
    }

    private func tables(_ width: Int) -> [String] {
        let all = picture.tables + (picture.tables.count > 1 ? [picture.progress] : [])
        let names = all.map { QueueFields($0)["name"] ?? "all" }
        let longest = min(names.map(\.count).max() ?? 0, max(8, width / 3))
        return zip(names, all).map { name, raw in
            let fields = QueueFields(raw)
            let (done, total) = (fields.number("records_done"), total(fields))
            let fraction = total > 0 ? Double(done) / Double(total) : progress["state"] == "complete" ? 1 : 0
            var tail = " \(Quantity.percent(fraction)) \(Quantity.grouped(done)) of "
            tail += Quantity.grouped(total)
            for (count, word) in [
                (fields.number("records_failed"), "failed"), (fields.number("batches_delayed"), "delayed"),
                (fields.number("batches_dead"), "dead"),
            ] where count > 0 { tail += ", \(Quantity.grouped(count)) \(word)" }
            let room = min(Self.barRoom, width - longest - tail.count - 5)
            let bar = room >= 5 ? " [" + Bar.text(fraction, room: room) + "]" : ""
            return "  " + Self.padded(Self.fitted(name, longest), longest) + bar + tail
        }
    }

    /// What was handed out; until everything is, in the first sweep, what the census says there is.
    private func total(_ fields: QueueFields) -> Int {
        let handedOut = fields.number("records_total")
        guard progress["enumeration_done"] != "1", progress["sweep"] == "1" else { return handedOut }
        return max(handedOut, picture.oldRecords(of: fields["name"]) ?? 0)
    }

    private func workers(most: Int) -> [String] {
        WorkerTable.text(picture, most: most).split(separator: "\n").map(String.init)
    }

    private static func line(_ event: QueueMonitor.Event) -> String {
        // The time of day is enough where everything is seconds old.
        let clock = Timestamp.text(of: Int(event.at / 1_000)).split(separator: "T").last?.dropLast() ?? ""
        let what = event.fields.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(
            separator: ", ")
        let kind = event.kind.split(separator: "_").joined(separator: " ")
        return PrintableText.plain("  \(clock)  \(kind)" + (what.isEmpty ? "" : "  \(what)"))
    }

    private static func fitted(_ text: String, _ width: Int) -> String {
        text.count <= width ? text : text.prefix(max(0, width - 1)) + "…"
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
