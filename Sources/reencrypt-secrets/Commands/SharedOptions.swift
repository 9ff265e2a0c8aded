public import ArgumentParser
package import BatchQueue
import Catalog
public import Logging
import Redis

/// Options that every command has.
struct LoggingOptions: ParsableArguments {
    @Option(name: .customLong("log-format"), help: "text or json.")
    var format: LineLogHandler.Format = .text

    @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning, error or critical.")
    var level: Logger.Level = .info

    func makeLogger() -> Logger {
        let (format, level) = (format, level)
        return Logger(label: "reencrypt-secrets") { _ in LineLogHandler(format, level: level) }
    }
}

/// Options of the commands that read the catalog.
struct CatalogOptions: ParsableArguments {
    @Option(
        name: .customLong("catalog"),
        help: "The catalog file (default: REENCRYPT_CATALOG, or encrypted-tables.yaml).")
    var path: String?

    @Option(
        name: [.customShort("t"), .customLong("table")],
        help: "Only this table of the catalog; may be given several times.")
    var tables: [String] = []

    /// - Throws: `CatalogError`; `UnlistedTablesError` for a table that the catalog does not name.
    func load(_ environment: Environment) throws -> CatalogFile {
        try loadWhole(environment).selecting(tables: tables)
    }

    /// All of the file, whatever `--table` selects.
    func loadWhole(_ environment: Environment) throws -> CatalogFile {
        try CatalogFile.load(
            path: path ?? environment.string("REENCRYPT_CATALOG") ?? "encrypted-tables.yaml")
    }
}

/// Options of the commands that work with a queue on Redis.
struct QueueOptions: ParsableArguments {
    @Option(help: "The queue; any number may stand side by side.")
    var queue: QueueName = .default

    /// - Throws: where REDIS_URL is missing or malformed.
    func connect(_ environment: Environment, as clientName: String) throws -> RedisConnection {
        guard let url = try environment.string("REDIS_URL") else {
            throw SettingsError(
                "no queue: set REDIS_URL, such as redis://user:password@host:6379/0 "
                    + "(rediss:// for TLS, unix:// for a socket, redis+sentinel:// for Sentinel)")
        }
        return RedisConnection(try RedisSettings(url: url, clientName: clientName))
    }
}

extension QueueName {
    static let `default` = QueueName(unchecked: "default")
}

extension QueueName: ExpressibleByArgument {
    /// Nil for a name that is not `[A-Za-z0-9._-]{1,64}`.
    package init?(argument: String) { self.init(argument) }
}

extension LineLogHandler.Format: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}
