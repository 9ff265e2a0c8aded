import BatchQueue
import Testing

@testable import reencrypt_secrets

/// What `status --watch` draws, from pictures of a queue as Redis gives them.
@Suite struct StatusScreenTests {
    private func picture(
        _ changes: [String: String] = [:], tables: [[String: String]]? = nil, workers: Int = 2
    ) -> QueuePicture {
        let progress = [
            "job": "22812943393799e5", "state": "draining", "target_key": "kek-v2", "mode": "rewrap",
            "sweep": "1",
            "records_total": "3000", "records_done": "1500", "records_failed": "1",
            "records_per_second": "54147",
            "eta_seconds": "6", "enumeration_done": "1", "paused": "0", "throttled": "",
        ].merging(changes) { _, new in new }
        return QueuePicture(
            queue: "default", time: 1_795_564_010_000, progress: progress,
            tables: tables ?? [
                ["name": "llm_providers", "records_total": "2000", "records_done": "1499"],
                [
                    "name": "tenant_webhooks", "records_total": "1000", "records_done": "1",
                    "records_failed": "1",
                ],
            ],
            census: [],
            workers: (0..<workers).map {
                [
                    "id": "vm-\($0)", "last_heartbeat": "1795564007000", "lanes": "2", "records_done": "700",
                    "records_per_second": "27000", "version": "0.1.0",
                ]
            })
    }

    private func event(_ kind: String, _ fields: [String: String] = [:]) -> QueueMonitor.Event {
        QueueMonitor.Event(at: 1_795_564_005_000, kind: kind, fields: fields)
    }

    @Test func showsBarsRateTimeLeftWorkersAndEvents() {
        let lines = StatusScreen(
            picture: picture(), events: [event("lease_expired", ["sequence": "7", "table": "llm_providers"])]
        ).lines(width: 100, height: 30)
        let text = lines.joined(separator: "\n")
        #expect(lines[0] == "Job 22812943393799e5 on queue default: draining")
        #expect(text.contains("54,147 records/s · 6 s left"))
        // Nearly three quarters are not three quarters.
        #expect(text.contains("llm_providers   [██████████████████████········] 74.9 % 1,499 of 2,000"))
        #expect(text.contains("tenant_webhooks [······························] 0.1 % 1 of 1,000, 1 failed"))
        #expect(
            text.contains("all             [███████████████···············] 50.0 % 1,500 of 3,000, 1 failed"))
        #expect(text.contains("vm-1      3 s ago"))
        #expect(text.contains("lease expired  sequence 7, table llm_providers"))
    }

    @Test func namesWhatHoldsTheJob() {
        let lines = StatusScreen(
            picture: picture(["paused": "1", "throttled": "throttle-query"]), events: []
        )
        .lines(width: 100, height: 30)
        #expect(lines[0].hasSuffix("draining, paused"))
        #expect(lines[1] == "Throttled: throttle-query")
    }

    /// A line that wraps, or one too many, and the next picture is not drawn over this one.
    @Test(arguments: [(20, 10), (40, 24), (80, 24), (200, 50), (1, 1), (80, 0)])
    func fitsTheTerminal(width: Int, height: Int) {
        let many = (0..<40).map { ["name": "table_with_a_long_name_\($0)", "records_total": "10"] }
        for tables in [nil, many] {
            let lines = StatusScreen(
                picture: picture(
                    ["throttled": "lag 2.4 s of standby walreceiver above 2 s"], tables: tables, workers: 30),
                events: [event("job_started", ["job": "22812943393799e5"])]
            ).lines(width: width, height: height)
            #expect(lines.count <= height)
            #expect(lines.allSatisfy { $0.count <= width && !$0.contains("\n") })
        }
    }

    @Test func workersThatDoNotFitAreCounted() {
        let text = StatusScreen(picture: picture(workers: 30), events: []).lines(width: 100, height: 24)
            .joined(separator: "\n")
        #expect(text.contains("vm-0") && text.contains("more") && !text.contains("vm-29"))
    }

    @Test func untilAllIsEnumeratedTheCensusSaysWhatThereIs() {
        let census = [QueuePicture.CensusGroup(table: "t", column: "c", keyID: "kek-v1", records: 4_000)]
        let picture = QueuePicture(
            queue: "default", time: 0,
            progress: [
                "job": "1", "state": "enumerating", "target_key": "kek-v2", "sweep": "1",
                "enumeration_done": "0",
            ],
            tables: [["name": "t", "records_total": "1000", "records_done": "1000"]], census: census,
            workers: [])
        let text = StatusScreen(picture: picture, events: []).lines(width: 100, height: 24)
            .joined(separator: "\n")
        #expect(text.contains("25.0 % 1,000 of 4,000"))
    }

    @Test func textInRedisCannotSteerTheTerminal() throws {
        let hostile = "x\u{1B}[2J\u{9B}1A\r\n\u{202E}y"
        let picture = picture(
            ["throttled": hostile, "state": hostile], tables: [["name": hostile, "records_total": "1"]])
        let screen = StatusScreen(picture: picture, events: [event(hostile, [hostile: hostile])])
            .lines(width: 200, height: 40).joined()
        for text in [screen, QueueStatus(picture: picture).text(), QueueStatus(picture: picture).line()] {
            #expect(!text.unicodeScalars.contains { ["\u{1B}", "\u{9B}", "\r", "\u{202E}"].contains($0) })
        }
    }

    @Test func numbersInRedisThatOverflowDoNotEndTheScreen() {
        let huge = "9223372036854775807"
        let least = "-9223372036854775808"
        for number in [huge, least, "-10000000000000000", "1e400", "nan"] {
            let forged = [
                "records_done": number, "records_total": "1", "records_failed": number, "eta_seconds": number,
                "records_per_second": number, "enumeration_done": "0",
            ]
            let picture = QueuePicture(
                queue: "default", time: 0, progress: picture(forged).progress,
                tables: [forged.merging(["name": "t"]) { a, _ in a }],
                census: [], workers: [["id": "w", "last_heartbeat": number, "records_done": number]])
            #expect(!StatusScreen(picture: picture, events: []).lines(width: 80, height: 24).isEmpty)
            #expect(!(QueueStatus(picture: picture).text() + QueueStatus(picture: picture).line()).isEmpty)
        }
    }

    @Test func aReasonsNumbersAreNoNews() {
        func standing(_ reason: String) -> String {
            QueueStatus(picture: picture(["throttled": reason])).standing
        }
        #expect(standing("lag 2.4 s of standby x") == standing("lag 3.1 s of standby x"))
        #expect(standing("lag 2.4 s of standby x") != standing(""))
    }

    @Test func logsGetOneLine() {
        #expect(
            QueueStatus(picture: picture(["throttled": "profile polite"])).line()
                == "Job 22812943393799e5: draining, 1500 of 3000 records handed out done, 1 failed, 54147 records/s, 6 s left, 2 workers, throttled: profile polite"
        )
        #expect(QueueStatus(picture: picture(["job": ""])).line() == "No job on queue default.")
    }

    @Test func batchesAloneAreNoNews() {
        #expect(!StatusScreen.isWorthALine(event("batch_done")))
        #expect(StatusScreen.isWorthALine(event("batch_dead")))
    }
}
