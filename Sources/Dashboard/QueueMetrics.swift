import BatchQueue
import Exposition

/// A queue as metrics: what its keys say, nothing more. Labels are bounded: table, outcome, state.
struct QueueMetrics {
    private let picture: QueuePicture?

    /// - Parameter picture: nil while Redis is away.
    init(_ picture: QueuePicture?) { self.picture = picture }

    var text: String {
        var up = MetricFamily(
            "reencrypt_redis_up", .gauge, "Whether Redis answered the last time it was asked.")
        up.add(picture == nil ? 0 : 1)
        guard let picture, !(picture.progress["job"] ?? "").isEmpty else { return up.text }
        let families = [
            up, jobState(picture), records(picture), handedOut(picture), remaining(picture), batches(picture),
        ]
        return (families + single(picture)).map(\.text).joined()
    }

    private static let states = [
        "enumerating", "draining", "verifying", "complete", "incomplete", "cancelled",
    ]

    private func jobState(_ picture: QueuePicture) -> MetricFamily {
        var family = MetricFamily(
            "reencrypt_job_state", .gauge, "1 for the state that the job on the queue is in.")
        for state in Self.states { family.add(picture.progress["state"] == state ? 1 : 0, ["state": state]) }
        return family
    }

    private func records(_ picture: QueuePicture) -> MetricFamily {
        var family = MetricFamily(
            "reencrypt_records_total", .counter,
            "Records that acknowledgements have reported, by table and outcome.")
        for table in picture.tables {
            for outcome in ["rewrapped", "superseded", "failed"] {
                family.add(
                    Self.number("records_\(outcome)", table),
                    ["table": table["name"] ?? "", "outcome": outcome])
            }
        }
        return family
    }

    private func handedOut(_ picture: QueuePicture) -> MetricFamily {
        var family = MetricFamily(
            "reencrypt_records_handed_out", .gauge, "Records that have been handed out in the job, by table.")
        for table in picture.tables {
            family.add(Self.number("records_total", table), ["table": table["name"] ?? ""])
        }
        return family
    }

    private func remaining(_ picture: QueuePicture) -> MetricFamily {
        var family = MetricFamily(
            "reencrypt_remaining_records", .gauge,
            "Records not under the target key by the last census, by table.")
        for table in picture.tables {
            let name = table["name"] ?? ""
            family.add(picture.oldRecords(of: name).map(Double.init), ["table": name])
        }
        return family
    }

    private func batches(_ picture: QueuePicture) -> MetricFamily {
        var family = MetricFamily("reencrypt_batches", .gauge, "Batches of the job, by table and state.")
        for table in picture.tables {
            for state in ["pending", "leased", "delayed", "dead", "done"] {
                family.add(
                    Self.number("batches_\(state)", table), ["table": table["name"] ?? "", "state": state])
            }
        }
        return family
    }

    private func single(_ picture: QueuePicture) -> [MetricFamily] {
        func gauge(_ name: String, _ help: String, _ value: Double?) -> MetricFamily {
            var family = MetricFamily(name, .gauge, help)
            family.add(value)
            return family
        }
        let progress = picture.progress
        return [
            gauge(
                "reencrypt_workers", "Workers heard of within the last minute.", Double(picture.workers.count)
            ),
            gauge("reencrypt_paused", "Whether the job is paused.", Self.number("paused", progress)),
            gauge(
                "reencrypt_throttled",
                "Whether something holds the job back; the dashboard names the reason.",
                (progress["throttled"] ?? "").isEmpty ? 0 : 1),
            gauge(
                "reencrypt_records_per_second", "Records a second, over the last 10 s.",
                Self.number("records_per_second", progress)),
            gauge("reencrypt_eta_seconds", "Time left at that rate.", Self.number("eta_seconds", progress)),
            gauge("reencrypt_sweep", "Number of the sweep.", Self.number("sweep", progress)),
            gauge(
                "reencrypt_job_started_timestamp_seconds", "When the job was started.",
                Self.number("started_at", progress).map { $0 / 1_000 }),
            gauge(
                "reencrypt_last_progress_timestamp_seconds", "When the job's numbers last changed.",
                Self.number("updated_at", progress).map { $0 / 1_000 }),
        ]
    }

    /// Nil for the empty string: unknown.
    private static func number(_ field: String, _ fields: [String: String]) -> Double? {
        fields[field].flatMap { Double($0) }
    }
}
