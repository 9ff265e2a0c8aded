import Testing

@testable import Verification

@Suite("The verdict follows from what was found")
struct VerdictTests {
    /// Nothing speaks against it.
    private func clean(
        _ depth: Depth = .values, isStandby: Bool = false, retired: [String] = ["kek-v1"],
        scope: VerificationScope = VerificationScope(tables: ["t"])
    ) -> VerificationOutcome {
        var outcome = VerificationOutcome(
            database: DatabaseIdentity(
                name: "app", oid: 16_384, serverVersion: "15.4", systemIdentifier: "7", timeline: 1,
                isStandby: isStandby,
                lsn: "0/1234", snapshotTime: "2024-01-15T10:00:00Z"),
            targetKeyID: "kek-v2", depth: depth, scope: scope, namedRetiredKeyIDs: retired)
        outcome.census = [.init(table: "t", column: "c", keyID: "kek-v2", records: 100)]
        outcome.durability.isFlushedHere = true
        return outcome
    }

    private func expectObjection(_ words: String, to outcome: VerificationOutcome) {
        #expect(!outcome.verdict.isProven)
        #expect(outcome.verdict.sentence.hasPrefix("Not proven"))
        #expect(outcome.verdict.objections.contains { $0.contains(words) }, "\(outcome.verdict.objections)")
    }

    @Test(arguments: [Depth.keys, .values]) func nothingSpeaksAgainstIt(depth: Depth) {
        let verdict = clean(depth).verdict
        #expect(verdict.exitCode == 0)
        #expect(verdict.sentence.contains("no value needs a key other than kek-v2. Retired keys: kek-v1."))
        #expect(verdict.isProven)
        #expect(verdict.objections.isEmpty)
        #expect(verdict.sentence.contains("100 records"))
        #expect(verdict.sentence.contains("at this time"))
    }

    @Test func aFenceSpeaksForLater() {
        var outcome = clean()
        outcome.fencedKeyIDs = ["kek-v1", "kek-v0"]
        #expect(outcome.verdict.isProven)
        #expect(outcome.verdict.sentence.contains("and a fence refuses values under kek-v1:"))
        #expect(!outcome.verdict.sentence.contains("at this time"))
    }

    @Test func anOldRecordSpeaksAgainstIt() {
        var outcome = clean()
        outcome.census.append(.init(table: "t", column: "c", keyID: "kek-v1", records: 1))
        expectObjection("1 of 101 records are not under kek-v2", to: outcome)
    }

    @Test func anUnreadableRecordSpeaksAgainstIt() {
        var outcome = clean(.labels)
        outcome.census.append(.init(table: "t", column: "c", keyID: nil, records: 2))
        expectObjection("2 of 102 records are not under kek-v2", to: outcome)
    }

    @Test func aMislabelledRecordSpeaksAgainstIt() {
        var outcome = clean()
        outcome.unopenedRecords = 3
        expectObjection("3 records are labelled kek-v2 and do not open", to: outcome)
    }

    // MARK: less than a proof

    /// Not proven and 2; with `--partial` 0, and no word of a proof.
    private func expectPart(
        _ words: String, strength: Verdict.Strength = .partial,
        _ outcome: (VerificationScope) -> VerificationOutcome, isWholeCatalog: Bool = true,
        leftOut: [String] = []
    ) {
        for accepts in [false, true] {
            let verdict = outcome(
                VerificationScope(
                    tables: ["t"], tablesLeftOut: leftOut, isWholeCatalog: isWholeCatalog,
                    acceptsPart: accepts)
            ).verdict
            #expect(verdict.strength == strength)
            #expect(!verdict.isProven && verdict.isPartial)
            #expect(verdict.exitCode == (accepts ? 0 : 2))
            #expect(verdict.missing.contains { $0.contains(words) }, "\(verdict.missing)")
            #expect(verdict.sentence.contains(words))
            #expect(verdict.sentence.contains("Not proven") != accepts)
            #expect(!verdict.sentence.contains("no value needs"))
        }
    }

    @Test func aPartOfTheCatalogIsNoProof() {
        expectPart(
            "1 other table of the catalog was not looked at (u)", { clean(scope: $0) }, isWholeCatalog: false,
            leftOut: ["u"])
        expectPart("The whole catalog was not asked for", { clean(scope: $0) }, isWholeCatalog: false)
    }

    @Test func labelsAloneAreNoProof() { expectPart("no key was tried", { clean(.labels, scope: $0) }) }

    @Test func noRecordAtAllIsNoProof() {
        expectPart("There is no record") { scope in
            var outcome = clean(scope: scope)
            outcome.census = []
            return outcome
        }
    }

    @Test func aFindingInAPartIsExitCode2() {
        var outcome = clean(
            .labels, scope: VerificationScope(tables: ["t"], isWholeCatalog: false, acceptsPart: true))
        outcome.census.append(.init(table: "t", column: "c", keyID: "kek-v1", records: 1))
        #expect(outcome.verdict.exitCode == 2)
        #expect(outcome.verdict.strength == .notProven)
        #expect(outcome.verdict.objections.count == 3)
    }

    // MARK: retired keys and fences

    /// It counts for the ids that it names, and only if those are all that are known to be retired.
    @Test func aFenceCountsIfItRefusesEveryRetiredKey() {
        var outcome = clean(retired: ["kek-v0", "kek-v1"])
        outcome.fencedKeyIDs = ["kek-v1"]
        #expect(!outcome.isFenced)
        #expect(outcome.verdict.sentence.contains("at this time"))
        outcome.fencedKeyIDs.insert("kek-v0")
        #expect(outcome.isFenced)
    }

    /// What a fence names is not known to be all: nothing is spared for it.
    @Test func keysThatFencesAloneNameAreNotKnownToBeAll() {
        var outcome = clean(retired: [])
        #expect(outcome.verdict.sentence.contains("No retired key is known."))
        outcome.fencedKeyIDs = ["kek-v1"]
        #expect(outcome.retiredKeyIDs == ["kek-v1"])
        #expect(!outcome.isFenced)
        #expect(outcome.verdict.sentence.contains("as far as fences name them: kek-v1"))
    }

    /// The bound is rounded up, never down.
    @Test(arguments: [(300, "1.00 %"), (1_000, "0.30 %"), (999, "0.31 %"), (1_000_000, "0.01 %")])
    func aSampleIsNoProofAndItsBoundIsRoundedUp(records: Int, bound: String) {
        var outcome = clean()
        outcome.sample = .init(percent: 1, records: records)
        #expect(outcome.verdict.strength == .partial)
        expectObjection("fewer than \(bound) of all records are bad, with 95 % confidence", to: outcome)
    }

    @Test func failuresOfASampleAreCounted() {
        var outcome = clean()
        outcome.sample = .init(percent: 1, records: 100)
        outcome.failures.count(2)
        expectObjection("100 records were opened, of which 2 failed", to: outcome)
    }

    @Test func anEmptySampleSpeaksAgainstIt() {
        var outcome = clean()
        outcome.sample = .init(percent: 1, records: 0)
        expectObjection("no record was drawn", to: outcome)
    }

    @Test func aStandbyGivesAnEstimate() {
        expectPart("an estimate", strength: .estimate, { clean(isStandby: true, scope: $0) })
        expectPart("an estimate", { clean(.labels, isStandby: true, scope: $0) })
    }

    @Test func whatIsNotOnDiskSpeaksAgainstIt() {
        var outcome = clean()
        outcome.durability.isFlushedHere = false
        expectObjection("0/1234", to: outcome)
    }

    @Test func aStandbyThatLagsSpeaksAgainstIt() {
        var outcome = clean()
        outcome.durability.laggingStandbys = ["replica-2"]
        expectObjection("replica-2", to: outcome)
    }

    @Test func aStandbyThatIsHiddenSpeaksAgainstIt() {
        var outcome = clean()
        outcome.durability.hiddenStandbys = 1
        expectObjection("pg_read_all_stats", to: outcome)
    }

    @Test func aStandbyThatIsAbsentSpeaksAgainstIt() {
        var outcome = clean()
        outcome.durability.absentStandbys = ["The standby of the replication slot spare is not connected."]
        expectObjection("spare", to: outcome)
    }

    @Test func openTransactionsSpeakAgainstIt() {
        var outcome = clean()
        outcome.openTransactions = [
            .init(
                transactionID: "77", pid: 42, applicationName: "billing", user: "app", preparedName: nil,
                tables: "t"),
            .init(
                transactionID: "78", pid: nil, applicationName: "", user: "app", preparedName: "payment-17",
                tables: "t"),
        ]
        expectObjection("process 42, billing", to: outcome)
        expectObjection("payment-17", to: outcome)
    }

    @Test func columnsOutsideTheCatalogSpeakAgainstIt() {
        var outcome = clean()
        outcome.coverageProblems = ["audit.value looks encrypted and is in no catalog."]
        expectObjection("audit.value", to: outcome)
    }

    @Test func aLateWriterSpeaksAgainstIt() {
        var outcome = clean()
        outcome.sightings = [
            .init(
                table: "t", column: "c", keyID: "kek-v1", records: 1, time: "2024-01-15T10:05:00Z",
                writers: ["billing (process 42, user app)"])
        ]
        expectObjection("billing", to: outcome)
    }

    @Test func copiesAreNoObjection() {
        var outcome = clean()
        outcome.duplicates.foundTotal = 1
        #expect(outcome.verdict.isProven)
    }

    @Test func failedRecordsAreAllCountedAndTheFirstOnesKept() {
        var list = FailureList()
        for number in 0..<(FailureList.capacity + 5) {
            list.append(FailedRecord(table: "t", id: ["\(number)"], column: "c", keyID: nil, reason: "r"))
        }
        list.count(2)
        var merged = FailureList()
        merged.merge(list)
        merged.merge(list)
        #expect(list.total == FailureList.capacity + 7)
        #expect(merged.total == 2 * list.total)
        #expect(merged.listed.count == FailureList.capacity)
    }
}
