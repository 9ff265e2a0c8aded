import Catalog
import Postgres

/// Looks on, by label, for values that are written under a retired key.
struct Watch: Sendable {
    private let plan: VerificationPlan
    private let observer: any VerificationObserver

    init(_ plan: VerificationPlan, observer: any VerificationObserver) {
        self.plan = plan
        self.observer = observer
    }

    /// A look's findings.
    private struct Look: Sendable {
        let sightings: [VerificationOutcome.Sighting]
        let counts: [Census.Group: Int]
    }

    /// Looks again and again until the time is over. A group is reported when it has grown since the last look.
    /// - Parameter known: what the pass before has found, and objected to.
    func look(
        for duration: Duration, known census: [VerificationOutcome.CensusGroup]
    ) async throws -> [VerificationOutcome.Sighting] {
        observer.began("Watching for values under other keys than \(plan.targetKeyID)")
        let deadline = ContinuousClock.now + duration
        var sightings: [VerificationOutcome.Sighting] = []
        var known: [Census.Group: Int] = [:]
        for group in census {
            let label = group.keyID.map { Census.Label.key($0) } ?? .unreadable
            known[Census.Group(table: group.table, column: group.column, label: label)] = group.records
        }
        while true {
            let start = ContinuousClock.now
            let look = try await look(known)
            known = look.counts
            for sighting in look.sightings {
                observer.sighted(sighting)
                if sightings.count < FailureList.capacity { sightings.append(sighting) }
            }
            let now = ContinuousClock.now
            guard now < deadline else { return sightings }
            // A fifth of the time at most is spent reading.
            let pause = max(Duration.seconds(1), (now - start) * 4)
            try await Task.sleep(for: min(pause, deadline - now))
        }
    }

    private func look(_ known: [Census.Group: Int]) async throws -> Look {
        let plan = plan
        return try await plan.hold(observer).read { held in
            try await held.reader.perform { try Self.look(plan, held.tables, known, $0) }
        }.finding
    }

    private static func look(
        _ plan: VerificationPlan, _ tables: [EncryptedTable], _ known: [Census.Group: Int],
        _ session: PostgresSession
    ) throws -> Look {
        let time = try session.query(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        ).text(0, 0)
        let census = try CensusTaker(tables, keyIDs: plan.keyIDs).take(session)
        let old = census.records.filter { $0.key.label != .key(plan.targetKeyID) }
        var sightings: [VerificationOutcome.Sighting] = []
        for (group, records) in old.sorted(by: { $0.key.table < $1.key.table })
        where records > known[group, default: 0] {
            guard let table = tables.first(where: { StoredName($0.name) == StoredName(group.table) })
            else { continue }
            sightings.append(
                VerificationOutcome.Sighting(
                    table: group.table, column: group.column, keyID: group.label.keyID,
                    records: records, time: time,
                    writers: try OpenTransactions.writers(to: table, session)))
        }
        return Look(sightings: sightings, counts: old)
    }
}
