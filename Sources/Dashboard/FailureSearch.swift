import BatchQueue

/// Failed records that hold a text in any of their parts.
struct FailureSearch: Encodable {
    private(set) var matching = 0
    private(set) var failures: [QueueMonitor.StoredFailure] = []

    private static let shown = 200

    init(_ text: String, in monitor: QueueMonitor) async throws {
        let wanted = text.lowercased()
        var all: [QueueMonitor.StoredFailure] = []
        try await monitor.forEachFailure { failure in
            let parts = [failure.table, failure.column, failure.reason, failure.keyID ?? ""] + failure.id
            guard wanted.isEmpty || parts.contains(where: { $0.lowercased().contains(wanted) }) else {
                return
            }
            all.append(failure)
        }
        matching = all.count
        failures = Array(
            all.sorted {
                ($0.table, $0.id.joined(separator: ","), $0.column) < (
                    $1.table, $1.id.joined(separator: ","), $1.column
                )
            }
            .prefix(Self.shown))
    }
}
