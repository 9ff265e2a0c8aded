extension HeldReport {
    /// Why it is not a report on this database; nil where nothing tells them apart.
    ///
    /// A physical copy has its origin's system identifier; once promoted, it goes on on a timeline of its own. A
    /// database that is dropped and made again, or copied within the server, has another oid. A copy of the files
    /// that goes on on the same timeline is told apart as long as it stands before what the report saw.
    package func mismatch(with live: DatabaseIdentity) -> String? {
        guard let held = database.systemIdentifier, let liveIdentifier = live.systemIdentifier,
            let heldTimeline = database.timeline, let liveTimeline = live.timeline
        else {
            return "the system identifier or the timeline is not known of both; the roles need EXECUTE on "
                + "pg_control_system(), pg_control_checkpoint() and pg_control_recovery()"
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
        return mismatchOfOid(with: live) ?? mismatchOfPosition(with: live)
    }

    private func mismatchOfOid(with live: DatabaseIdentity) -> String? {
        guard let oid = database.oid else {
            return "it does not name the database's oid, as reports of version 0.1.0 did not: verify again"
        }
        if oid == live.oid { return nil }
        return
            "the report is about the database \(database.name) with the oid \(oid), the one of that name here has the oid \(live.oid): it was made again, or is a copy"
    }

    /// What is there now has to lie behind what the report saw.
    private func mismatchOfPosition(with live: DatabaseIdentity) -> String? {
        guard let held = LogPosition(database.snapshotLsn), let reached = LogPosition(live.lsn) else {
            return "the report's position \(database.snapshotLsn) cannot be compared with \(live.lsn)"
        }
        if reached >= held { return nil }
        return
            "the report saw the position \(database.snapshotLsn), this server is at \(live.lsn), before it: "
            + (live.isStandby
                ? "a standby that has not replayed so far yet"
                : "a copy that was made before, or a backup that was restored")
    }
}
