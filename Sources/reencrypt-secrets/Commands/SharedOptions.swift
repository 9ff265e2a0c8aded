public import ArgumentParser
import Catalog
public import Logging

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
        let path = try self.path ?? environment.string("REENCRYPT_CATALOG") ?? "encrypted-tables.yaml"
        return try CatalogFile.load(path: path).selecting(tables: tables)
    }
}

extension LineLogHandler.Format: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}
