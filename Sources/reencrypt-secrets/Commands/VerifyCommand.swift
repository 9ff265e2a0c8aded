import ArgumentParser
import Catalog
import Envelope
import Logging
import Postgres
import Verification

/// `verify`: what the database alone says.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Says from the database alone whether any value needs a key other than the primary.",
        discussion: """
            Opens every value with SECRETS_ENCRYPTION_KEY alone, in one snapshot, and names what does not open. \
            Exit code 0: no value of the whole catalog needs a key other than that one. 2: one does, or less was \
            shown (--table, --depth labels, a sample, no record, a standby). 1: it could not look. Nothing in Redis \
            bears on the verdict.
            """)

    @Option(
        help: "labels: read the key ids, a quick look; keys: unwrap every data key; values: open every value."
    )
    var depth: Depth = .values

    @Option(
        help: ArgumentHelp(
            "Open only this share of the rows. A sample proves nothing.", valueName: "p%"))
    var sample: PercentArgument?

    @Option(help: "Database connections that read side by side.")
    var concurrency = 2

    @Option(
        help: ArgumentHelp(
            "How long to wait for transactions that were open and may hold old values (default: 60s).",
            valueName: "duration"))
    var waitOpenTransactions: DurationArgument?

    @Option(
        help: ArgumentHelp(
            "Look on for values under retired keys, such as 10m.", valueName: "duration"))
    var watch: DurationArgument?

    @Option(
        help: ArgumentHelp(
            "A key id that no value may need any more; may be given several times (default: the previous keys, or those that fences name).",
            valueName: "id"))
    var retired: [String] = []

    @Flag(
        help:
            "Exit code 0 for less than a proof (--table, --depth labels, a sample, no record, a standby), if nothing bad is found."
    )
    var partial = false

    @OptionGroup var report: ReportOptions
    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func validate() throws {
        guard (1...64).contains(concurrency) else {
            throw ValidationError("--concurrency takes 1 to 64 connections.")
        }
        if sample != nil, depth == .labels {
            throw ValidationError("--sample goes with --depth keys or values; labels are all counted.")
        }
    }

    func run() async throws {
        ProcessHardening.apply()
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            if let checking = ReportChecking(report) { return try await checking.run() }
            let start = Moment()
            let writer = try report.writer(logger)
            let environment = try Environment()
            let settings = try JobSettings(
                environment, catalog, applicationName: "reencrypt-secrets verifier", [])
            let retired = try RetiredKeys(named: retired, keyring: settings.keyring)
            settings.log(to: logger)
            let preparation = try await DatabasePreparation.inspect(
                settings.file, settings.database, forWriting: false, keyIDs: settings.keyIDs,
                forVerification: true, sessions: concurrency + 4)
            logger.info("Connected to database", metadata: ["database": "\(preparation.database.name)"])
            preparation.log(to: logger)
            guard preparation.refusals.isEmpty else { throw ExitStatus.couldNotRun }
            let search = CoverageSearch(
                settings.database, settings.wholeFile, targetKeyID: settings.keyring.primary.id.description,
                retired: retired.ids)
            let plan = plan(settings, retired, search)
            let output = VerificationOutput(logger)
            defer { output.finish() }
            let (outcome, signal) = try await StopSignals.run(logger) {
                try await Verifier(plan, observer: output).run()
            }
            output.finish()
            if let signal { throw ExitStatus.stopped(by: signal) }
            output.log(outcome)
            output.warn(ofRetiredKeys: outcome, onlyNamed: retired.onlyNamed)
            try writer?.finish(
                try VerificationReport(
                    outcome, keyring: settings.keyring, catalog: settings.wholeFile,
                    challenge: report.challenge, start: start,
                    coverage: search.coverage,
                    fences: writer == nil ? [] : try await fences(preparation.tables, settings.database)))
            Console.printResult(VerdictText(outcome, search.coverage).text)
            guard outcome.verdict.exitCode == 0 else { throw ExitStatus.incomplete }
        }
    }

    /// The fences that stand, for the report.
    private func fences(
        _ tables: [EncryptedTable], _ settings: ConnectionSettings
    ) async throws -> [VerificationReport.FenceConstraint] {
        let connection = PostgresConnection(settings)
        let found = try await connection.perform { session in
            try tables.flatMap { table in
                try FenceInspection(table, session: session).fences.filter { $0.isLocal }.map { fence in
                    VerificationReport.FenceConstraint(
                        table: table.name, name: fence.name, isValidated: fence.isValidated,
                        retiredKeyIDs: fence.refused)
                }
            }
        }
        await connection.close()
        return found
    }

    /// The target key alone goes into the plan; of the former ones, their ids.
    private func plan(
        _ settings: JobSettings, _ retired: RetiredKeys, _ search: CoverageSearch
    ) -> VerificationPlan {
        let entries = settings.file.entries
        var plan = VerificationPlan(
            settings: settings.database, targetKey: settings.keyring.primary,
            retiredKeyIDs: retired.ids,
            scope: VerificationScope(
                tables: entries.map(\.name), tablesLeftOut: settings.tablesLeftOut,
                isWholeCatalog: catalog.tables.isEmpty, acceptsPart: partial),
            resolveTables: { session in
                let introspection = try Introspection.resolve(entries, session: session)
                if let problem = introspection.problems.first(where: { $0.severity == .refuse }) {
                    throw SettingsError("\(problem)")
                }
                return introspection.tables
            })
        plan.coverage = { _ in try search.problems() }
        plan.fencedKeyIDs = { try FenceProof.refusedKeyIDs(in: $0, $1) }
        plan.depth = depth
        plan.samplePercent = sample?.percent
        plan.concurrency = concurrency
        if let waitOpenTransactions { plan.openTransactionWait = waitOpenTransactions.duration }
        plan.watch = watch?.duration
        return plan
    }
}
