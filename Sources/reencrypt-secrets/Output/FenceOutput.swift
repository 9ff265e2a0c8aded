import Catalog
import Logging
import Postgres
import Verification

/// What the fence's commands say while they work, and why they end.
struct FenceOutput: Sendable {
    private let logger: Logger

    init(_ logger: Logger) {
        self.logger = logger
    }

    func log(_ event: FenceBuilder.Event) {
        switch event {
        case .waiting(let table, let attempt, let blockers):
            let who = blockers.isEmpty ? "somebody who has gone meanwhile" : blockers.joined(separator: ", ")
            logger.warning("Attempt \(attempt) to lock \(table) came to nothing; it waited for \(who)")
        case .added(let table, let columns):
            logger.info("Added to \(table): \(columns.joined(separator: ", "))")
        case .validated(let table, let seconds):
            let tenths = Int((seconds * 10).rounded(.up))
            logger.info("PostgreSQL has validated \(table) in \(tenths / 10).\(tenths % 10) s")
        case .superseded(let table, let constraints):
            logger.info("Dropped from \(table): \(constraints.joined(separator: ", "))")
        case .notTakenBack(let table):
            logger.error(
                "The fence of \(table) could not be taken back and refuses updates of old rows; run `reencrypt-secrets fence drop`"
            )
        case .unchanged(let table):
            logger.info("\(table) has this fence already")
        }
    }

    /// What a standing fence has to do with the new one.
    func log(_ selection: FenceSelection) {
        if !selection.kept.isEmpty {
            logger.info(
                "A fence that stands refuses \(selection.kept.joined(separator: ", ")) too; the new one goes on with it (--only-these would end that)"
            )
        }
        if !selection.released.isEmpty {
            logger.warning(
                "Values under \(selection.released.joined(separator: ", ")) are let in again, as --only-these says"
            )
        }
    }

    /// Where no census is taken, which would know whether a value is under them.
    func warn(ofUnknown selection: FenceSelection) {
        if selection.unknown.isEmpty { return }
        logger.warning(
            "Nothing knows \(selection.unknown.joined(separator: ", ")): no previous key is called so, and no fence names it. Check the spelling"
        )
    }

    /// Says what remains, and what a missing privilege needs.
    func reporting(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let remaining as FenceBuilder.Remaining {
            for (group, records) in remaining.groups {
                let label = group.label.keyID.map { "under \($0)" } ?? "unreadable"
                logger.error("\(group.table).\(group.column): \(Quantity.grouped(records)) records \(label)")
            }
            logger.error(
                remaining.isTakenBack
                    ? "Old or failed records came to light meanwhile; the fence has been taken back. Run the rotation again"
                    : "No fence was added: old or failed records remain, and every update of their rows would be refused. Finish the rotation first"
            )
            throw remaining.isTakenBack ? ExitStatus.incomplete : ExitStatus.couldNotRun
        } catch let unknown as FenceBuilder.Unknown {
            logger.error(
                "No fence was added: nothing knows \(unknown.keyIDs.joined(separator: ", ")), no previous key, no fence and no value. A misspelt id would leave the real one open: correct --retired, or say --allow-unknown-keys"
            )
            throw ExitStatus.couldNotRun
        } catch let unsettled as FenceBuilder.Unsettled {
            for reason in unsettled.reasons { logger.error("\(reason)") }
            logger.error(
                "The fence does not stand as it should: somebody changed the tables meanwhile. Run it again")
            throw ExitStatus.incomplete
        } catch let error as PostgresError where error.sqlState == .insufficientPrivilege {
            logger.error(
                "\(error); a fence takes the table's owner: run this as the owner, or hand over what --print-sql prints"
            )
            throw ExitStatus.couldNotRun
        }
    }

    /// A validation reads the whole table in one statement.
    static func patient(_ settings: ConnectionSettings) -> ConnectionSettings {
        var patient = settings
        patient.answerTimeout = .seconds(86_400)
        return patient
    }

    /// The catalog's tables, for the commands that need no keys.
    static func tables(
        _ catalog: CatalogOptions, _ logger: Logger
    ) async throws -> (tables: [EncryptedTable], entries: [CatalogEntry], settings: ConnectionSettings) {
        let environment = try Environment()
        let file = try catalog.load(environment)
        let settings = try ConnectionSettings(
            url: environment.string("DATABASE_URL"), applicationName: "reencrypt-secrets fence")
        let connection = PostgresConnection(settings)
        let found = try await connection.perform { session in
            try Introspection.resolve(file.entries, session: session)
        }
        let refusals = found.problems.filter { $0.severity == .refuse }
        for problem in refusals { logger.error("\(problem)") }
        guard refusals.isEmpty else { throw ExitStatus.couldNotRun }
        return (found.tables, file.entries, settings)
    }
}
