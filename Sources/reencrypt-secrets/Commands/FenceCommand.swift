import ArgumentParser
import Catalog
import Envelope
import Logging
import Postgres
import Verification

/// `fence`: the constraint that refuses values under retired keys.
struct FenceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fence",
        abstract: "A CHECK constraint that refuses values under retired keys.",
        subcommands: [FenceAddCommand.self, FenceDropCommand.self, FenceStatusCommand.self])
}

/// What adding and dropping have in common.
struct FenceOptions: ParsableArguments {
    @Flag(help: "Print the statements and change nothing.")
    var printSql = false

    @Option(help: "Milliseconds that one attempt to lock a table may make writers wait.")
    var lockTimeout = 2_000

    @Option(help: "How often the lock is asked for.")
    var attempts = 20

    func validate() throws {
        guard lockTimeout > 0, lockTimeout <= 60_000 else {
            throw ValidationError("--lock-timeout takes 1 to 60000 milliseconds")
        }
        guard attempts > 0 else { throw ValidationError("--attempts takes a number from 1 on") }
    }

    var lock: FenceLock { FenceLock(timeout: .milliseconds(lockTimeout), attempts: attempts) }
}

/// `fence add`: exit 1 while an old or failed record remains, 2 where one came to light meanwhile.
struct FenceAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Refuses values under retired keys from now on.",
        discussion: """
            Takes a census, adds the constraint NOT VALID, takes another census and has PostgreSQL validate the \
            constraint. Takes the table's owner. See docs/fence.md.
            """)

    @Option(parsing: .upToNextOption, help: "Key ids to refuse (default: those of the previous keys).")
    var retired: [String] = []

    @Flag(
        help:
            "Refuse these ids and no others. Without it, ids that a standing fence refuses stay refused.")
    var onlyThese = false

    @Flag(help: "Accept ids that are no previous key's and that nothing in the database names.")
    var allowUnknownKeys = false

    @Flag(help: "A trigger that names late writers in the server's log, and refuses nobody.")
    var logOnly = false

    @OptionGroup var patience: PatienceOptions
    @OptionGroup var options: FenceOptions
    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        ProcessHardening.apply()
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let settings = try JobSettings(
                try Environment(), catalog, applicationName: "reencrypt-secrets fence", [])
            let asked = try retiredKeyIDs(settings.keyring)
            let preparation = try await DatabasePreparation.inspect(
                settings.file, settings.database, forWriting: false, keyIDs: settings.keyIDs)
            preparation.log(to: logger)
            guard preparation.refusals.isEmpty else { throw ExitStatus.couldNotRun }
            try await refuseSubscriptions(preparation.tables, settings.database, logger)
            let connection = PostgresConnection(settings.database)
            let inspections = try await connection.perform { session in
                try preparation.tables.map { try FenceInspection($0, session: session) }
            }
            await connection.close()
            let selection = FenceSelection(
                target: settings.keyring.primary.id.description, asked: asked,
                previous: settings.keyring.previous.map(\.id.description),
                denied: Set(inspections.flatMap(\.denied)), keepsOthers: !onlyThese)
            let output = FenceOutput(logger)
            output.log(selection)
            if options.printSql {
                if !allowUnknownKeys { output.warn(ofUnknown: selection) }
                Console.printResult(
                    FenceScript.add(inspections, selection, logOnly: logOnly, options.lock))
                return
            }
            let builder = FenceBuilder(
                settings.file.entries, selection, acceptsUnknownIDs: allowUnknownKeys, lock: options.lock,
                connecting: FenceOutput.patient(settings.database),
                definitionPatience: patience.definitions, waiting: { logger.info("\($0)") })
            if logOnly {
                if !allowUnknownKeys { output.warn(ofUnknown: selection) }
                try await output.reporting { try await builder.addLogOnly(output.log) }
            } else {
                try await output.reporting { try await builder.add(output.log) }
                let names = preparation.tables.map(\.name).joined(separator: ", ")
                Console.printResult(
                    "Values under \(selection.refused.joined(separator: ", ")) are refused in \(names)\n")
            }
        }
    }

    /// A subscription's worker would fail on the constraint again and again.
    private func refuseSubscriptions(
        _ tables: [EncryptedTable], _ settings: ConnectionSettings, _ logger: Logger
    ) async throws {
        let connection = PostgresConnection(settings)
        let problems = try await connection.perform { session in
            try tables.flatMap { try SubscriptionTargets.problems($0, severity: .refuse, session: session) }
        }
        await connection.close()
        for problem in problems { logger.error("\(problem)") }
        guard problems.isEmpty else { throw ExitStatus.couldNotRun }
    }

    private func retiredKeyIDs(_ keyring: Keyring) throws -> [String] {
        let given = retired.flatMap { $0.split(separator: ",").map(String.init) }
        let ids = given.isEmpty ? keyring.ids.dropFirst().map(\.description) : given
        if ids.isEmpty {
            throw SettingsError(
                "no key is retired: name one with --retired, or set SECRETS_ENCRYPTION_KEY_PREVIOUS")
        }
        for id in ids {
            do throws(KeyringError) {
                if try KeyID(id) == keyring.primary.id {
                    throw KeyringError(.malformedKeyID)
                }
            } catch {
                throw SettingsError(
                    "--retired takes ids of former keys: 1 to 64 letters, digits, dots, underscores and hyphens, "
                        + "and not the primary key's, \(keyring.primary.id)")
            }
        }
        return Set(ids).sorted()
    }
}

/// `fence drop`: takes every fence of the catalog's columns away.
struct FenceDropCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop", abstract: "Takes the fences away, log-only ones included; needs no keys.")

    @OptionGroup var options: FenceOptions
    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let (tables, entries, settings) = try await FenceOutput.tables(catalog, logger)
            if options.printSql {
                let connection = PostgresConnection(settings)
                let inspections = try await connection.perform { session in
                    try tables.map { try FenceInspection($0, session: session) }
                }
                Console.printResult(FenceScript.drop(inspections, options.lock))
                return
            }
            let builder = FenceBuilder(
                entries, nil, lock: options.lock, connecting: FenceOutput.patient(settings),
                waiting: { logger.info("\($0)") })
            let output = FenceOutput(logger)
            try await output.reporting {
                for (table, dropped) in try await builder.drop(output.log) {
                    Console.printResult(
                        dropped == 0 ? "\(table): there was no fence\n" : "\(table): fence dropped\n")
                }
            }
        }
    }
}

/// `fence status`: what stands where.
struct FenceStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows the fences by table and column; needs no keys.")

    @Flag(help: "One JSON object, for programs.")
    var json = false

    @OptionGroup var catalog: CatalogOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let (tables, _, settings) = try await FenceOutput.tables(catalog, logger)
            let connection = PostgresConnection(settings)
            let status = try await connection.perform { session in
                FenceStatus(try tables.map { try FenceInspection($0, session: session) })
            }
            Console.printResult(json ? try status.json() + "\n" : status.text())
        }
    }
}
