import Verification

/// The verdict for a person: one sentence, the census, where it was looked, and what it does not prove.
struct VerdictText {
    private let outcome: VerificationOutcome
    private let coverage: Coverage?
    private static let namedFailures = 20

    /// - Parameter coverage: the search outside the catalog: what it did not reach, and what is ignored.
    init(_ outcome: VerificationOutcome, _ coverage: Coverage?) {
        self.outcome = outcome
        self.coverage = coverage
    }

    var text: String {
        let verdict = outcome.verdict
        var text = verdict.sentence + "\n\n" + table
        text += section("What speaks against it", verdict.findings)
        text += section("What is missing", verdict.missing)
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
        let ignored = coverage?.ignored ?? []
        text += section("Ignored, as the catalog says: in no count", ignored.map(\.sentence))
        text += section("What this does not prove", Verdict.limits + (coverage?.limits ?? []))
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
        facts.append(fence)
        if !outcome.scope.isWholeCatalog {
            facts.append(
                "of the catalog, the tables that --table names: \(outcome.scope.tables.joined(separator: ", "))"
            )
        }
        facts += duplicateFacts
        if outcome.watchedSeconds > 0 {
            facts.append("watched for \(seconds(outcome.watchedSeconds)) more, by label")
        }
        if outcome.verdict.isProven {
            facts.append(
                "the earliest point that can be restored to without a key other than \(outcome.targetKeyID): \(database.snapshotTime), \(database.lsn)"
            )
        }
        return facts
    }

    private var fence: String {
        let refused = outcome.fencedKeyIDs.sorted().joined(separator: ", ")
        let others = outcome.retiredKeyIDs.filter { !outcome.fencedKeyIDs.contains($0) }
        if refused.isEmpty {
            return
                "no fence: a writer that still has a retired key can write under it at any time (fence add)"
        }
        let text = "a fence refuses values under \(refused)"
        if others.isEmpty { return text }
        return text
            + "; none refuses \(others.joined(separator: ", ")): \(others.count == 1 ? "it" : "they") can still be written under (fence add)"
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
