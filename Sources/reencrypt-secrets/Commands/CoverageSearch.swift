import Catalog
import Postgres
import Synchronization
import Verification

/// The search outside the catalog as `verify` runs it: the verdict takes its sentences, the report its findings.
final class CoverageSearch: Sendable {
    private let settings: ConnectionSettings
    private let file: CatalogFile
    private let found = Mutex<Coverage?>(nil)

    /// - Parameter file: the whole catalog, whatever `--table` selects: its other tables are in a catalog, too.
    init(_ settings: ConnectionSettings, _ file: CatalogFile) {
        self.settings = settings
        self.file = file
    }

    /// On a session of its own: the verifier's is in a transaction, which the first relation that cannot be
    /// read would end.
    func problems() throws -> [String] {
        let session = try PostgresSession(connecting: settings)
        let tables = try Introspection.resolve(file.entries, session: session).tables
        let coverage = try CoverageScan(tables, ignored: file.ignored).run(session)
        found.withLock { $0 = coverage }
        return coverage.problems
    }

    /// Nil until the search has run.
    var coverage: Coverage? { found.withLock { $0 } }
}
