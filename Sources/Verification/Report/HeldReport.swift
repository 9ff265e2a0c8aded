/// The part of a report that a check reads.
package struct HeldReport: Decodable, Sendable {
    package struct Database: Decodable, Sendable, Hashable {
        package let name: String
        package let systemIdentifier: String?
        package let timeline: Int?
        package let snapshotLsn: String
        package let snapshotTime: String
    }

    package struct Verdict: Decodable, Sendable, Hashable {
        package let result: String
        package let sentence: String
        package let objections: [String]
        package let doesNotProve: [String]
    }

    package struct Signature: Decodable, Sendable, Hashable {
        package let publicKey: String
    }

    package let schemaVersion: Int
    package let kind: String
    package let challenge: String?
    package let signature: Signature?
    package let database: Database
    package let verdict: Verdict

    package var isProven: Bool { verdict.result == "proven" }

    /// Why it is not a report on this database; nil where it is.
    ///
    /// A physical copy has its origin's system identifier; once promoted, it goes on on a timeline of its own.
    package func mismatch(with live: DatabaseFingerprint) -> String? {
        guard let held = database.systemIdentifier, let liveIdentifier = live.systemIdentifier,
            let heldTimeline = database.timeline, let liveTimeline = live.timeline
        else {
            return "the system identifier or the timeline is not known of both; the roles need EXECUTE on "
                + "pg_control_system() and pg_control_checkpoint()"
        }
        if held != liveIdentifier {
            return "the report is about the system \(held), this database is of the system \(liveIdentifier)"
        }
        if heldTimeline != liveTimeline {
            return
                "the report is about timeline \(heldTimeline), this server is on timeline \(liveTimeline): "
                + "one is a copy of the other that was promoted"
        }
        if !database.name.utf8.elementsEqual(live.name.utf8) {
            return "the report is about the database \(database.name), this one is \(live.name)"
        }
        return nil
    }
}
