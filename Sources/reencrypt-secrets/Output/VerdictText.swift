import Verification

/// The verdict for a person: one sentence, the census, where it was looked, and what it does not prove.
struct VerdictText {
    private let outcome: VerificationOutcome
    private let limits: [String]
    private static let namedFailures = 20

    /// - Parameter limits: what the search outside the catalog did not reach.
    init(_ outcome: VerificationOutcome, limits: [String] = []) {
        self.outcome = outcome
        self.limits = limits
    }

    var text: String {
        let verdict = outcome.verdict
        var text = verdict.sentence + "\n\n" + table
        text += section("What speaks against it", verdict.objections)
        let failures = outcome.failures
        var named = failures.listed.prefix(Self.namedFailures).map { "\($0.place): \($0.reason)" }
        if failures.total > named.count, !named.isEmpty {
            named.append("and \(Quantity.grouped(failures.total - named.count)) more")
        }
        text += section("Failed records", named)
        if outcome.depth == .labels, outcome.oldRecords > 0 {
            text += "\nThe records are named at --depth keys and --depth values.\n"
        }
        text += section("Where and how it was looked", facts)
        text += section("What this does not prove", Verdict.limits + limits)
        return text
    }

    private var table: String {
        var table = TextTable(["table", "column", "key", "records"])
        for group in outcome.census {
            table.add([
                group.table, group.column, group.keyID ?? "(unreadable)", Quantity.grouped(group.records),
            ])
        }
        table.add(["all", "", "", Quantity.grouped(outcome.totalRecords)])
        for group in outcome.nulls {
            table.add([group.table, group.column, "(NULL: no record)", Quantity.grouped(group.records)])
        }
        return table.text(numeric: [3])
    }

    private var facts: [String] {
        let database = outcome.database
        var server = "database \(database.name), PostgreSQL \(database.serverVersion)"
        if database.isStandby { server += ", a standby" }
        if let identifier = database.systemIdentifier { server += ", system \(identifier)" }
        if let timeline = database.timeline { server += ", timeline \(timeline)" }
        var facts = [
            server,
            "snapshot of \(database.snapshotTime) at \(database.lsn); it held back VACUUM for \(seconds(outcome.snapshotHeldSeconds))",
            "depth \(outcome.depth.rawValue)"
                + (outcome.sample.map { ", sampled: \(percent($0.percent)) of the rows" } ?? ""),
        ]
        if !database.isStandby {
            let durability = outcome.durability
            facts.append(
                "that position is on disk \(durability.isFlushedHere ? "here" : "nowhere yet") and on \(durability.flushedStandbys) standbys"
            )
        }
        facts.append(
            outcome.isFenced
                ? "a fence refuses values under retired keys"
                : "no fence: a writer that still has an old key can write under it at any time (fence add)")
        facts += duplicateFacts
        if outcome.watchedSeconds > 0 { facts.append("watched for \(seconds(outcome.watchedSeconds)) more") }
        if outcome.verdict.isProven {
            facts.append(
                "the earliest point that can be restored to without the old key: \(database.snapshotTime), \(database.lsn)"
            )
        }
        return facts
    }

    private var duplicateFacts: [String] {
        let search = outcome.duplicates
        guard search.coveredFraction > 0 else {
            return ["copied values were not looked for (--depth values does, without --sample)"]
        }
        let part =
            search.coveredFraction < 1
            ? " (among \(percent(search.coveredFraction * 100)) of all nonces)" : ""
        return ["values that stand in more than one place: \(search.foundTotal)\(part)"]
    }

    private func section(_ title: String, _ lines: [String]) -> String {
        lines.isEmpty ? "" : "\n\(title):\n" + lines.map { "  - \($0)\n" }.joined()
    }

    private func seconds(_ seconds: Double) -> String {
        seconds < 60
            ? "\(Int(seconds * 10) / 10).\(Int(seconds * 10) % 10) s" : Quantity.duration(.seconds(seconds))
    }

    private func percent(_ percent: Double) -> String {
        "\((percent * 10_000).rounded() / 10_000) %"
    }
}
