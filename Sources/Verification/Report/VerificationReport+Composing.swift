extension VerificationReport {
    /// What a report holds beside what the verification found.
    package struct Circumstances: Sendable {
        package var toolVersion: String
        /// UTC, ISO 8601, whole seconds.
        package var startedAt: String
        package var finishedAt: String
        /// Text that whoever asked for the report chose, so that it cannot be an older one.
        package var challenge: String?
        /// SHA-256, in hex, of the catalog's canonical text.
        package var catalogDigest: String
        package var target: Key
        package var retired: [Key]
        /// Nil where nobody has looked outside the catalog.
        package var coverage: Coverage?
        package var fences: [FenceConstraint] = []

        package init(
            toolVersion: String, startedAt: String, finishedAt: String, challenge: String? = nil,
            catalogDigest: String, target: Key, retired: [Key], coverage: Coverage? = nil,
            fences: [FenceConstraint] = []
        ) {
            self.toolVersion = toolVersion
            self.startedAt = startedAt
            self.finishedAt = finishedAt
            self.challenge = challenge
            self.catalogDigest = catalogDigest
            self.target = target
            self.retired = retired
            self.coverage = coverage
            self.fences = fences
        }
    }

    package init(_ outcome: VerificationOutcome, _ circumstances: Circumstances) {
        tool = Tool(version: circumstances.toolVersion)
        startedAt = circumstances.startedAt
        finishedAt = circumstances.finishedAt
        durationSeconds = outcome.durationSeconds
        snapshotHeldSeconds = outcome.snapshotHeldSeconds
        database = Database(outcome.database)
        catalog = Catalog(digest: circumstances.catalogDigest)
        keys = Keys(target: circumstances.target, retired: circumstances.retired)
        depth = outcome.depth.rawValue
        census = outcome.census.map {
            CensusGroup(table: $0.table, column: $0.column, keyId: $0.keyID, records: $0.records)
        }
        nulls = outcome.nulls.map { NullGroup(table: $0.table, column: $0.column, rows: $0.records) }
        unopenedRecords = outcome.unopenedRecords
        duplicates = Duplicates(
            total: outcome.duplicates.foundTotal, listed: outcome.duplicates.found.map(\.places),
            coveredFraction: outcome.duplicates.coveredFraction)
        scope = Scope(outcome, ignored: circumstances.coverage?.ignored)
        fence = Fence(
            isComplete: outcome.isFenced, refusedKeyIds: outcome.fencedKeyIDs.sorted(),
            constraints: circumstances.fences)
        openTransactions = outcome.openTransactions.map {
            OpenTransaction(
                transactionId: $0.transactionID, pid: $0.pid, applicationName: $0.applicationName,
                user: $0.user, preparedName: $0.preparedName, tables: $0.tables)
        }
        durability = Durability(
            isFlushedHere: outcome.durability.isFlushedHere,
            flushedStandbys: outcome.durability.flushedStandbys,
            laggingStandbys: outcome.durability.laggingStandbys,
            hiddenStandbys: outcome.durability.hiddenStandbys,
            absentStandbys: outcome.durability.absentStandbys)
        watch = Watch(
            seconds: outcome.watchedSeconds,
            sightings: outcome.sightings.map {
                Sighting(
                    table: $0.table, column: $0.column, keyId: $0.keyID, records: $0.records, time: $0.time,
                    writers: $0.writers)
            })
        verdict = Verdict(outcome, limits: circumstances.coverage?.limits ?? [])
        failuresTotal = outcome.failures.total
        failures = outcome.failures.listed.map {
            Failure(
                table: $0.table, id: .init(texts: $0.id), column: $0.column, keyId: $0.keyID,
                reason: $0.reason)
        }
        // Wrapped members have a value from the start and are set once everything else is.
        challenge = circumstances.challenge
        coverage = circumstances.coverage.map { CoverageSection($0) }
        sample = outcome.sample.map {
            Sample(
                percent: $0.percent, records: $0.records,
                badFractionBelow: Self.ruleOfThree($0.records, failed: outcome.failures.total))
        }
    }
}

extension VerificationReport {
    /// Of n records drawn at random and all good, fewer than 3/n of all are bad, with a confidence of 95 %.
    private static func ruleOfThree(_ records: Int, failed: Int) -> Double? {
        records > 0 && failed == 0 ? min(1, 3 / Double(records)) : nil
    }
}

extension VerificationReport.Database {
    fileprivate init(_ identity: DatabaseIdentity) {
        self.init(
            name: identity.name, oid: identity.oid, serverVersion: identity.serverVersion,
            systemIdentifier: identity.systemIdentifier, timeline: identity.timeline,
            isStandby: identity.isStandby, snapshotLsn: identity.lsn, snapshotTime: identity.snapshotTime)
    }
}

extension VerificationReport.Verdict {
    fileprivate init(_ outcome: VerificationOutcome, limits: [String]) {
        let verdict = outcome.verdict
        let point = VerificationReport.RestorePoint(
            lsn: outcome.database.lsn, time: outcome.database.snapshotTime)
        self.init(
            result: verdict.strength.rawValue, proven: verdict.isProven, partial: verdict.isPartial,
            exitCode: verdict.exitCode, sentence: verdict.sentence, objections: verdict.objections,
            missing: verdict.missing, doesNotProve: Verification.Verdict.limits + limits,
            earliestRestorePoint: verdict.isProven ? point : nil)
    }
}
