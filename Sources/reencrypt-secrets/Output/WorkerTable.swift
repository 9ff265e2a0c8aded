import BatchQueue

/// The workers of a queue, a line each.
enum WorkerTable {
    static func text(_ picture: QueuePicture, most: Int) -> String {
        if picture.workers.isEmpty {
            return "  no worker has given a sign of life within the last minute\n"
        }
        var list = TextTable(["worker", "last seen", "lanes", "records", "per s", "version"])
        for worker in picture.workers.prefix(most) {
            let fields = QueueFields(worker)
            let age = max(0, picture.time - Int64(fields.number("last_heartbeat"))) / 1_000
            list.add([
                fields["id"] ?? "", "\(age) s ago", fields["lanes"] ?? "",
                Quantity.grouped(fields.number("records_done")), fields["records_per_second"] ?? "",
                fields["version"] ?? "",
            ])
        }
        let left = picture.workers.count - most
        return list.text(numeric: [1, 2, 3, 4]) + (left > 0 ? "  and \(left) more\n" : "")
    }
}
