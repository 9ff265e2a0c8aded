import BatchQueue
import Catalog
import Envelope
import Logging
import Postgres
import Rotation

/// What every command needs that has a part in a job: keys, catalog, database.
struct JobSettings: Sendable {
    let keyring: Keyring
    /// The catalog as `--table` selects it.
    let file: CatalogFile
    /// All of the catalog.
    let wholeFile: CatalogFile
    let database: ConnectionSettings

    init(
        _ environment: Environment, _ catalog: CatalogOptions, applicationName: String,
        _ expected: [ExpectedCheckValue]
    )
        throws
    {
        keyring = try KeySettings.keyring(environment)
        for expected in expected { try expected.check(keyring) }
        wholeFile = try catalog.loadWhole(environment)
        file = try wholeFile.selecting(tables: catalog.tables)
        database = try ConnectionSettings(
            url: environment.string("DATABASE_URL"), applicationName: applicationName)
    }

    func log(to logger: Logger) {
        ProcessHardening.logUnlockedMemory(to: logger)
        logger.info("Encryption service initialized. Primary key: \(keyring.primary.id)")
        logger.info("Available keys: \(keyring.ids.map(\.description))")
        logger.info(
            "Key check values: \(keyring.keys.map { "\($0.id) \($0.checkValue)" }.joined(separator: ", "))")
    }

    /// Tables of the catalog that `--table` leaves out, as the catalog names them.
    var tablesLeftOut: [String] {
        let selected = Set(file.entries.map { StoredName($0.name) })
        return wholeFile.entries.map(\.name).filter { !selected.contains(StoredName($0)) }
    }

    var scope: JobScope { JobScope(tables: file.entries.map(\.name), tablesLeftOut: tablesLeftOut) }

    var keyIDs: [String] { keyring.ids.map(\.description) }

    /// Looks at the database and says what stands in the way.
    /// - Parameter sessions: how many this process will hold at once.
    /// - Throws: exit code 1 where something has to be mended first.
    func prepare(_ logger: Logger, sessions: Int) async throws -> DatabasePreparation {
        let preparation = try await DatabasePreparation.inspect(
            file, database, forWriting: true, keyIDs: keyIDs, sessions: sessions)
        logger.info("Connected to database", metadata: ["database": "\(preparation.database.name)"])
        preparation.log(to: logger)
        guard preparation.refusals.isEmpty else { throw ExitStatus.couldNotRun }
        return preparation
    }

    /// The record of a job on the queue, which is this process's to lead or to work on.
    /// - Throws: `RotationError` where keys, catalog or database are not those of the job.
    func verifiedRecord(
        of job: QueueMonitor.StoredJob, _ preparation: DatabasePreparation
    ) throws -> JobRecord {
        let record = try JobRecord(verifying: job.record, code: job.recordCode, keyring: keyring)
        try record.check(
            catalogDigest: JobRecord.digest(ofCatalog: file.canonicalText),
            database: preparation.identity)
        return record
    }
}
