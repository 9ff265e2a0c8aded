import Catalog
import Logging
import Postgres
import Verification

/// Everything that is looked at before any work: the server, the catalog's tables, what stands in the way.
struct DatabasePreparation: Sendable {
    let tables: [EncryptedTable]
    let problems: [CatalogProblem]
    let identity: DatabaseIdentity

    var database: JobReport.Database { JobReport.Database(identity) }

    var refusals: [CatalogProblem] { problems.filter { $0.severity == .refuse } }

    /// - Parameters:
    ///   - keyIDs: the target first, then the other known key ids; empty for a check without keys.
    ///   - forVerification: what would stand in the way of a rotation is no matter then.
    ///   - sessions: how many the command will hold at once.
    static func inspect(
        _ file: CatalogFile, _ settings: ConnectionSettings, forWriting: Bool, keyIDs: [String],
        forVerification: Bool = false, sessions: Int = 2
    ) async throws -> DatabasePreparation {
        // First of all: behind a pooler of statements no transaction could even begin.
        let pooler = try TransactionPoolerProbe.run(connecting: settings, sessions: sessions)
        let connection = PostgresConnection(settings)
        let found = try await connection.perform { session in
            let server = try (pooler.map { [$0] } ?? []) + Preflight.server(session, forWriting: forWriting)
            let identity = try DatabaseIdentity.read(session)
            if server.contains(where: { $0.severity == .refuse }) {
                return DatabasePreparation(tables: [], problems: server, identity: identity)
            }
            // In one snapshot, so that what is found of a name belongs together.
            let introspection = try session.transaction(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            ) { try Introspection.resolve(file.entries, session: $0) }
            var problems = server + introspection.problems
            for table in introspection.tables {
                if forVerification {
                    problems += try Preflight.reading(table, session: session)
                } else {
                    problems += try Preflight.table(
                        table, session: session, forWriting: forWriting, targetKeyID: keyIDs.first ?? "",
                        otherKeyIDs: Array(keyIDs.dropFirst()))
                }
            }
            if let target = keyIDs.first {
                problems += try FencePreflight.problems(
                    introspection.tables, targetKeyID: target, session: session)
            }
            return DatabasePreparation(tables: introspection.tables, problems: problems, identity: identity)
        }
        await connection.close()
        return found
    }

    /// Logs what was found.
    func log(to logger: Logger) {
        for problem in problems {
            logger.log(level: problem.severity == .refuse ? .error : .warning, "\(problem)")
        }
    }
}
