import ArgumentParser
import BatchQueue
import Catalog
import Envelope
import Logging
import Postgres
import Rotation

/// Turns an error into a log line and an exit code, in one place for all commands.
enum CommandFailure {
    /// Runs a command's body.
    static func reporting(to logger: Logger, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let code as ExitCode {
            throw code
        } catch let error as UnlistedTablesError {
            logger.error("\(error)")
            throw ExitStatus.usage
        } catch {
            logger.error("\(text(of: error))")
            throw ExitStatus.couldNotRun
        }
    }

    /// Only errors of our own are shown by their description: they are safe to log.
    private static func text(of error: any Error) -> String {
        switch error {
        case let error as SettingsError: error.description
        case let error as CatalogError: error.description
        case let error as KeyringError: error.description
        case let error as EnvelopeError: error.description
        case let error as PostgresError: DatabaseAdvice.text(of: error)
        case let error as RotationError: error.description
        case let error as FailureSpool.SpoolError: error.description
        default: "unexpected error of type \(type(of: error)); run again with --log-level debug"
        }
    }
}

/// What to do about an error of the database.
enum DatabaseAdvice {
    static func text(of error: PostgresError) -> String {
        switch (error.code, error.sqlState?.classCode) {
        case (.connectionFailed, _):
            "\(error). Check DATABASE_URL (or PGHOST, PGPORT, PGUSER, PGDATABASE) and that the server is up"
        case (_, "42"?) where error.sqlState == .insufficientPrivilege:
            "\(error). Grant the role what is missing; `reencrypt-secrets catalog check` lists it"
        default: error.description
        }
    }
}
