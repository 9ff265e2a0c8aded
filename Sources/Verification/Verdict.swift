/// Whether the old key can be taken out of service: one sentence, and what speaks against it.
package struct Verdict: Sendable, Hashable, Encodable {
    package let isProven: Bool
    package let sentence: String
    /// Everything that speaks against it; empty if and only if it is proven.
    package let objections: [String]

    /// What no look into a live database can prove.
    package static let limits = [
        "backups, WAL archives and logical dumps from before may hold envelopes under the old key: archive it until the last of them has expired",
        "dead rows and full-page images in this server's own files are not looked at",
        "an envelope that was put into another row opens there as well: the format does not bind a value to its place",
        "a standby that is neither connected nor has a replication slot is not known to this server: until it has caught up, it may come back with values under the old key",
        "a database administrator who lies, or a server that is not the one the applications use, is not found out",
    ]

    package init(of outcome: VerificationOutcome) {
        let objections = Self.objections(to: outcome)
        self.objections = objections
        isProven = objections.isEmpty
        let target = outcome.targetKeyID
        let count = outcome.totalRecords
        guard objections.isEmpty else {
            sentence =
                "Not proven, so the old key stays in service. \(objections[0])"
                + (objections.count > 1 ? " (and \(objections.count - 1) more)" : "")
            return
        }
        guard count > 0 else {
            sentence =
                "There is no record in the catalog's columns, so none needs the old key: make sure that this is the database that the applications use."
            return
        }
        let fact =
            switch outcome.depth {
            case .labels: "carries the label \(target) (depth labels: no key was tried)"
            case .keys: "has a data key that \(target) alone opens (depth keys: the data was not opened)"
            case .values: "opens with \(target) alone"
            }
        let time = outcome.isFenced ? "and a fence refuses values under retired keys" : "at this time"
        sentence =
            "Each of \(count) records \(fact) \(time): nothing speaks against taking the old key out of service."
    }

    private static func objections(to outcome: VerificationOutcome) -> [String] {
        var objections: [String] = []
        let target = outcome.targetKeyID
        let old = outcome.oldRecords
        if old > 0 { objections.append("\(old) of \(outcome.totalRecords) records are not under \(target).") }
        if outcome.unopenedRecords > 0 {
            objections.append(
                "\(outcome.unopenedRecords) records are labelled \(target) and do not open with it.")
        }
        if let sample = outcome.sample { objections.append(sampled(sample, failed: outcome.failures.total)) }
        if let problems = outcome.coverageProblems { objections += problems }
        for transaction in outcome.openTransactions { objections.append(transaction.objection) }
        for pending in outcome.pendingDefinitions {
            objections.append(
                "\(pending) may attach a table that was not looked at: end it, or wait for its end.")
        }
        if outcome.database.isStandby {
            objections.append(
                "This is a standby, which may be behind its primary: the verdict is an estimate.")
        } else {
            objections += outcome.durability.objections(lsn: outcome.database.lsn)
        }
        for sighting in outcome.sightings { objections.append(sighting.objection) }
        return objections
    }

    /// The rule of three: of n records drawn at random and all good, fewer than 3/n of all are bad, with a
    /// confidence of 95 %.
    private static func sampled(_ sample: VerificationOutcome.Sample, failed: Int) -> String {
        guard sample.records > 0 else { return "Sampled: no record was drawn." }
        guard failed == 0 else {
            return
                "Sampled: \(sample.records) records were opened, of which \(failed) failed; the rest was not looked at."
        }
        let tenThousandths = 30_000 / sample.records + (30_000 % sample.records == 0 ? 0 : 1)
        let percent = "\(tenThousandths / 100).\(tenThousandths % 100 < 10 ? "0" : "")\(tenThousandths % 100)"
        return
            "Sampled: \(sample.records) records were opened and none failed: fewer than \(percent) % of all records are bad, with 95 % confidence. A sample proves nothing about the rest."
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
