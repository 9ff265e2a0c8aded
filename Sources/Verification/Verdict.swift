/// Which key suffices for the catalog's values: how much was shown, in one sentence, and what speaks against it.
///
/// It has a strength. *Proven* is only the whole catalog, opened with the target key on a primary, with at least one
/// record and nothing that speaks against it. Less than that is never called a proof, whoever asked for it.
package struct Verdict: Sendable, Hashable, Encodable {
    package enum Strength: String, Sendable, Hashable, Encodable {
        case proven
        /// Nothing bad is known of what was looked at, and that was not enough for a proof.
        case partial
        /// The same of the whole catalog, on a standby.
        case estimate
        case notProven = "not proven"
    }

    package let strength: Strength
    package let sentence: String
    /// What speaks against it among what was looked at.
    package let findings: [String]
    /// What a proof lacks because it was not looked at.
    package let missing: [String]
    /// 0 or 2, as `verify` ends.
    package let exitCode: Int

    /// Everything that keeps it from being proven; empty if and only if it is.
    package var objections: [String] { findings + missing }
    package var isProven: Bool { strength == .proven }
    /// Less than a proof, and nothing bad is known.
    package var isPartial: Bool { strength == .partial || strength == .estimate }

    /// What no look into a live database can prove.
    package static let limits = [
        "backups, WAL archives and logical dumps from before may hold envelopes under a retired key: archive it until the last of them has expired",
        "dead rows and full-page images in this server's own files are not looked at, nor are indexes: one on an encrypted column keeps old values as its boundaries until REINDEX",
        "an envelope that was put into another row opens there as well: the format does not bind a value to its place",
        "a standby that is neither connected nor has a replication slot is not known to this server: until it has caught up, it may come back with values under a retired key",
        "a database administrator who lies, or a server that is not the one the applications use, is not found out",
    ]

    package init(of outcome: VerificationOutcome) {
        let findings = Self.findings(in: outcome)
        let missing = Self.missing(in: outcome)
        self.findings = findings
        self.missing = missing
        strength =
            switch (findings.isEmpty, missing.isEmpty) {
            case (true, true): .proven
            case (true, false): outcome.database.isStandby && missing.count == 1 ? .estimate : .partial
            case (false, _): .notProven
            }
        let isAccepted = findings.isEmpty && (missing.isEmpty || outcome.scope.acceptsPart)
        exitCode = isAccepted ? 0 : 2
        sentence =
            switch strength {
            case .proven: Self.proven(outcome)
            case .partial, .estimate: Self.partly(outcome, missing)
            case .notProven:
                "Not proven, so take no key out of service. \(findings[0])"
                    + (findings.count + missing.count > 1
                        ? " (and \(findings.count + missing.count - 1) more)" : "")
            }
    }

    private static func proven(_ outcome: VerificationOutcome) -> String {
        "Each of \(fact(outcome)): no value needs a key other than \(outcome.targetKeyID). \(retired(outcome))"
    }

    /// Without `--partial` this is a failure, and says so; with it, no word speaks of a proof.
    private static func partly(_ outcome: VerificationOutcome, _ missing: [String]) -> String {
        let shown =
            outcome.totalRecords > 0 && outcome.sample == nil ? "Shown: each of \(fact(outcome)). " : ""
        let start =
            outcome.scope.acceptsPart ? "In part. " : "Not proven, so take no key out of service. "
        return start + shown + "Missing: " + missing.joined(separator: " ")
    }

    private static func fact(_ outcome: VerificationOutcome) -> String {
        let target = outcome.targetKeyID
        let fact =
            switch outcome.depth {
            case .labels: "carries the label \(target)"
            case .keys: "has a data key that \(target) alone opens (depth keys: the data was not opened)"
            case .values: "opens with \(target) alone"
            }
        let time =
            outcome.isFenced
            ? "and a fence refuses values under \(outcome.namedRetiredKeyIDs.joined(separator: ", "))"
            : "at this time"
        return "\(outcome.totalRecords) records \(fact) \(time)"
    }

    /// By name, so that nobody reads the opposite where keys were not exchanged.
    private static func retired(_ outcome: VerificationOutcome) -> String {
        let ids = outcome.retiredKeyIDs.joined(separator: ", ")
        if !outcome.namedRetiredKeyIDs.isEmpty { return "Retired keys: \(ids)." }
        return ids.isEmpty ? "No retired key is known." : "Retired keys, as far as fences name them: \(ids)."
    }

    // MARK: What keeps it from being proven

    private static func findings(in outcome: VerificationOutcome) -> [String] {
        var findings: [String] = []
        let target = outcome.targetKeyID
        let old = outcome.oldRecords
        if old > 0 { findings.append("\(old) of \(outcome.totalRecords) records are not under \(target).") }
        if outcome.unopenedRecords > 0 {
            findings.append(
                "\(outcome.unopenedRecords) records are labelled \(target) and do not open with it.")
        }
        if let sample = outcome.sample, outcome.failures.total > 0 {
            findings.append(
                "Sampled: \(sample.records) records were opened, of which \(outcome.failures.total) failed; the rest was not looked at."
            )
        }
        if let problems = outcome.coverageProblems { findings += problems }
        for transaction in outcome.openTransactions { findings.append(transaction.objection) }
        for pending in outcome.pendingDefinitions {
            findings.append(
                "\(pending) may attach a table that was not looked at: end it, or wait for its end.")
        }
        if !outcome.database.isStandby {
            findings += outcome.durability.objections(lsn: outcome.database.lsn)
        }
        for sighting in outcome.sightings { findings.append(sighting.objection) }
        return findings
    }

    private static func missing(in outcome: VerificationOutcome) -> [String] {
        var missing: [String] = []
        if !outcome.scope.isWholeCatalog { missing.append(leftOut(outcome.scope.tablesLeftOut)) }
        if outcome.depth == .labels {
            missing.append("At depth labels no key was tried: use --depth keys or --depth values.")
        }
        if let sample = outcome.sample, outcome.failures.total == 0 { missing.append(sampled(sample)) }
        if outcome.totalRecords == 0 {
            missing.append(
                "There is no record in the columns that were looked at: make sure that this is the database that the applications use."
            )
        }
        if outcome.database.isStandby {
            missing.append("This is a standby, which may be behind its primary: the verdict is an estimate.")
        }
        return missing
    }

    private static func leftOut(_ tables: [String]) -> String {
        guard !tables.isEmpty else {
            return "The whole catalog was not asked for: leave --table out."
        }
        let names = tables.prefix(10).joined(separator: ", ") + (tables.count > 10 ? ", …" : "")
        let (noun, verb) = tables.count == 1 ? ("table", "was") : ("tables", "were")
        return
            "\(tables.count) other \(noun) of the catalog \(verb) not looked at (\(names)): leave --table out."
    }

    /// The rule of three: of n records drawn at random and all good, fewer than 3/n of all are bad, with a
    /// confidence of 95 %.
    private static func sampled(_ sample: VerificationOutcome.Sample) -> String {
        guard sample.records > 0 else { return "Sampled: no record was drawn." }
        let tenThousandths = 30_000 / sample.records + (30_000 % sample.records == 0 ? 0 : 1)
        let percent = "\(tenThousandths / 100).\(tenThousandths % 100 < 10 ? "0" : "")\(tenThousandths % 100)"
        return
            "Sampled: \(sample.records) records were opened and none failed: fewer than \(percent) % of all records are bad, with 95 % confidence. A sample says nothing about the rest."
    }
}

extension VerificationOutcome.OpenTransaction {
    fileprivate var objection: String {
        if let preparedName {
            return
                "The prepared transaction \(preparedName) of \(user) may commit old values to \(tables): COMMIT PREPARED or ROLLBACK PREPARED it."
        }
        let session = pid.map { "process \($0)" } ?? "an unknown session"
        return
            "Transaction \(transactionID) (\(session), \(applicationName.isEmpty ? "no application_name" : applicationName), \(user)) was open and may commit old values to \(tables)."
    }
}

extension VerificationOutcome.Durability {
    fileprivate func objections(lsn: String) -> [String] {
        var objections: [String] = []
        if !isFlushedHere {
            objections.append("The server has not yet written to disk what the snapshot saw (\(lsn)).")
        }
        if !laggingStandbys.isEmpty {
            objections.append(
                "Standbys that may take over have not written \(lsn) to disk: \(laggingStandbys.joined(separator: ", "))."
            )
        }
        if hiddenStandbys > 0 {
            objections.append(
                "\(hiddenStandbys) standbys hide their position from this role: GRANT pg_read_all_stats to it."
            )
        }
        return objections + absentStandbys
    }
}

extension VerificationOutcome.Sighting {
    fileprivate var objection: String {
        let writers = writers.isEmpty ? "" : "; writing to the table then: \(writers.joined(separator: ", "))"
        return
            "\(time): \(records) records of \(table).\(column) under \(keyID ?? "no key (unreadable)")\(writers)."
    }
}
