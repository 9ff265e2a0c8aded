import Catalog
import Postgres

/// Looks whether any value needs a key other than the target, from the database alone.
///
/// A pass over all tables in one shared snapshot; then what that snapshot could not see: transactions that
/// were open, whether its contents are on disk, and what is written afterwards.
package struct Verifier: Sendable {
    private let plan: VerificationPlan
    private let observer: any VerificationObserver

    package init(_ plan: VerificationPlan, observer: any VerificationObserver) {
        self.plan = plan
        self.observer = observer
    }

    package func run() async throws -> VerificationOutcome {
        let start = ContinuousClock.now
        let connection = PostgresConnection(plan.settings)
        var (outcome, opening) = try await pass()
        // Before the look at what has been committed since: a value that leaves the outside after it was looked at there
        // was seen, and one that has come in before is seen below.
        if let coverage = plan.coverage {
            observer.began("Looking for encrypted columns outside the catalog")
            outcome.coverageProblems = try await connection.perform { try coverage($0) }
        }
        if !outcome.database.isStandby {
            // A fence refuses labels. A value that lies about its key passes it.
            if !outcome.isFenced || plan.depth != .labels {
                outcome.openTransactions = try await waitOut(opening, connection)
            }
            // Whatever has ended since the snapshot may have committed what it did not see.
            if try await connection.perform({ try TransactionHorizon.now($0) }) != opening.horizon {
                try await repeatPass(&outcome, after: opening)
            }
        }
        if !outcome.database.isStandby {
            outcome.durability = try await durability(of: outcome.database.lsn, connection)
        }
        if let watch = plan.watch {
            outcome.sightings = try await Watch(plan, observer: observer).look(
                for: watch, known: outcome.census)
            outcome.watchedSeconds = watch / .seconds(1)
        }
        outcome.durationSeconds = (ContinuousClock.now - start) / .seconds(1)
        await connection.close()
        return outcome
    }

    // MARK: The pass

    /// Reads everything that the plan asks for, in one snapshot.
    private func pass(_ plan: VerificationPlan? = nil) async throws -> (VerificationOutcome, SnapshotOpening)
    {
        let plan = plan ?? self.plan
        let reading = try await plan.hold(observer).read { held in
            let opening = try await held.reader.perform { try SnapshotOpening.take(plan, held, $0) }
            let pass = SnapshotPass(plan: plan, held: held, leaves: opening.leaves, observer: observer)
            var outcome = VerificationOutcome(
                database: opening.database, targetKeyID: plan.targetKeyID, depth: plan.depth,
                scope: plan.scope,
                namedRetiredKeyIDs: plan.retiredKeyIDs)
            outcome.fencedKeyIDs = opening.fencedKeyIDs
            if plan.depth == .labels || plan.samplePercent != nil {
                observer.began("Counting labels")
                outcome.take(try await pass.census())
            }
            if plan.depth != .labels { try await openValues(pass, &outcome) }
            outcome.snapshotHeldSeconds = (ContinuousClock.now - opening.instant) / .seconds(1)
            return (outcome, opening)
        }
        var (outcome, opening) = reading.finding
        outcome.pendingDefinitions = reading.pending
        return (outcome, opening)
    }

    private func openValues(_ pass: SnapshotPass, _ outcome: inout VerificationOutcome) async throws {
        observer.began(plan.depth == .keys ? "Opening data keys" : "Opening values")
        let (work, tallies) = try await pass.depth()
        if let percent = plan.samplePercent {
            outcome.sample = VerificationOutcome.Sample(
                percent: percent, records: tallies.reduce(0) { $0 + $1.records })
        } else {
            outcome.take(tallies, work)
        }
        for tally in tallies {
            outcome.failures.merge(tally.failures)
            outcome.unopenedRecords += tally.unopened
        }
        // In a sample, the other one of two copies is most likely not there.
        guard plan.depth == .values, plan.samplePercent == nil else { return }
        let repeated = NonceLedger.repeated(in: tallies.map(\.nonces))
        outcome.duplicates.coveredFraction = repeated.coveredFraction
        if !repeated.nonces.isEmpty {
            observer.began("Looking up \(repeated.nonces.count) nonces that stand twice")
            outcome.duplicates.take(try await pass.places(of: repeated.nonces))
        }
    }

    // MARK: What the snapshot did not see

    private func waitOut(
        _ opening: SnapshotOpening, _ connection: PostgresConnection
    ) async throws -> [VerificationOutcome.OpenTransaction] {
        let transactions = OpenTransactions(opening)
        let deadline = ContinuousClock.now + plan.openTransactionWait
        var open = try await connection.perform { try transactions.stillOpen($0) }
        // Nobody but a person ends a prepared one.
        while open.contains(where: { $0.preparedName == nil }), ContinuousClock.now < deadline {
            observer.began("Waiting for transactions that were open (\(open.count)): \(Self.names(open))")
            try await Task.sleep(for: .milliseconds(500))
            open = try await connection.perform { try transactions.stillOpen($0) }
        }
        return open
    }

    private static func names(_ open: [VerificationOutcome.OpenTransaction]) -> String {
        open.prefix(5).map { transaction in
            transaction.preparedName ?? "\(transaction.applicationName) (process \(transaction.pid ?? 0))"
        }.joined(separator: ", ")
    }

    /// Looks at what has been committed since the snapshot. Where that is not all good, or where the tables are not the
    /// same any more, everything is read again, so that it is named.
    private func repeatPass(
        _ outcome: inout VerificationOutcome, after opening: SnapshotOpening
    ) async throws {
        observer.began("Reading what transactions have committed since")
        var again = plan
        again.samplePercent = nil
        if plan.samplePercent != nil { again.depth = .labels }
        if plan.depth != .labels, opening.showsWriters, try await isGood(since: opening) { return }
        let (later, _) = try await pass(again)
        guard plan.samplePercent == nil else {
            // The sample stays; what it cannot show, the labels of all may.
            if later.oldRecords > outcome.oldRecords { outcome.replaceFindings(by: later) }
            return
        }
        outcome.replaceFindings(by: later)
    }

    /// Whether every value that was committed since is good, in the tables that were looked at.
    private func isGood(since opening: SnapshotOpening) async throws -> Bool {
        let plan = plan
        let reading = try await plan.hold(observer).read { held in
            let later = try await held.reader.perform { try SnapshotOpening.take(plan, held, $0) }
            guard later.tables.map(\.identity) == opening.tables.map(\.identity), later.showsWriters,
                later.fencedKeyIDs == opening.fencedKeyIDs
            else { return false }
            let pass = SnapshotPass(plan: plan, held: held, leaves: later.leaves, observer: observer)
            let (_, tallies) = try await pass.depth(since: opening.horizon)
            return tallies.allSatisfy { tally in
                tally.columns.joined().allSatisfy { $0.unopened == 0 && $0.others.isEmpty }
            }
        }
        return reading.finding && reading.pending.isEmpty
    }

    private func durability(
        of lsn: String, _ connection: PostgresConnection
    ) async throws -> VerificationOutcome.Durability {
        let deadline = ContinuousClock.now + plan.durabilityWait
        var state = try await connection.perform { try DurabilityCheck.state(of: lsn, $0) }
        guard !state.isComplete else { return state }
        observer.began("Waiting until the server and its standbys have written \(lsn) to disk")
        try await connection.perform { try DurabilityCheck.nudge($0) }
        // The server drops a standby that keeps silent (wal_sender_timeout): out of sight, it has caught up
        // with nothing, and may take over all the same.
        var mostStandbys = state.standbys
        while !state.isComplete, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(200))
            state = try await connection.perform { try DurabilityCheck.state(of: lsn, $0) }
            mostStandbys = max(mostStandbys, state.standbys)
            let lost = mostStandbys - state.standbys
            if lost > 0 { state.laggingStandbys += Array(repeating: "(connection lost)", count: lost) }
        }
        return state
    }
}

extension VerificationOutcome.Durability {
    /// Waiting changes nothing about what the role may not see.
    fileprivate var isComplete: Bool { isFlushedHere && laggingStandbys.isEmpty }

    fileprivate var standbys: Int { flushedStandbys + laggingStandbys.count + hiddenStandbys }
}
