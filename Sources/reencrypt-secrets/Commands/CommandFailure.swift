import ArgumentParser
import BatchQueue
import Catalog
import Envelope
import HTTPService
import Logging
import Postgres
import Redis
import Rotation
import Verification

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
            say(text(of: error), to: logger)
            throw ExitStatus.couldNotRun
        }
    }

    /// What stands below a message's first line, such as an example, is not a log line.
    private static func say(_ text: String, to logger: Logger) {
        let lines = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        logger.error("\(lines[0])")
        if lines.count > 1 { Console.shared.writeLine(String(lines[1])) }
    }

    /// Only errors of our own are shown by their description: they are safe to log.
    static func text(of error: any Error) -> String {
        switch error {
        case let error as SettingsError: error.description
        case let error as ReportError: error.description
        case let error as SignatureError: error.description
        case let error as UnlistedTablesError: error.description
        case let error as CatalogError: error.description
        case let error as KeyringError: error.description
        case let error as EnvelopeError: error.description
        case let error as PostgresError: DatabaseAdvice.text(of: error)
        case let error as RotationError: error.description
        case let error as RedisError:
            error.isRetriable ? "\(error); check REDIS_URL and that the server is up" : error.description
        case let error as SnapshotHoldError: error.description
        case let error as FailureSpool.SpoolError: error.description
        case let error as HTTPServiceError: error.description
        default: "unexpected error of type \(type(of: error)); run again with --log-level debug"
        }
    }
}

/// What to do about an error of the database.
enum DatabaseAdvice {
    static func text(of error: PostgresError) -> String {
        switch (error.code, error.sqlState?.classCode) {
        case (.connectionFailed, _):
            "\(error); check DATABASE_URL (or PGHOST, PGPORT, PGUSER, PGDATABASE) and that the server is up"
        case (_, "42"?) where error.sqlState == .insufficientPrivilege:
            "\(error); grant the role what is missing; `reencrypt-secrets catalog check` lists it"
        default: error.description
        }
    }
}
