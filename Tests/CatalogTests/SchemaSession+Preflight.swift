import Postgres
import TestSupport

@testable import Catalog

extension SchemaSession {
    func preflight(
        _ table: EncryptedTable, forWriting: Bool = true, target: String = "kek-v2",
        others: [String] = ["kek-v1"]
    ) throws -> [CatalogProblem] {
        try Preflight.table(
            table, session: session, forWriting: forWriting, targetKeyID: target, otherKeyIDs: others)
    }
}

extension [CatalogProblem] {
    var refusals: [CatalogProblem] { filter { $0.severity == .refuse } }
    var warnings: [CatalogProblem] { filter { $0.severity == .warn } }
}
