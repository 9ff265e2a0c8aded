package import Postgres

/// Compares the catalog file with the database. All problems of all tables are collected, so that one run
/// shows everything that has to be mended.
package struct Introspection: Sendable {
    /// The tables without a refusal, in the catalog's order.
    package let tables: [EncryptedTable]
    package let problems: [CatalogProblem]

    /// - Precondition: `Preflight.server` refused nothing: the system catalogs of older versions differ.
    package static func resolve(
        _ entries: [CatalogEntry], session: PostgresSession
    ) throws(PostgresError) -> Introspection {
        var tables: [EncryptedTable] = []
        var problems: [CatalogProblem] = []
        var listed: [(name: String, tree: RelationTree)] = []
        for entry in entries {
            let lookup = TableLookup(entry, session: session)
            guard let relation = try lookup.relation() else {
                problems.append(try lookup.unknown())
                continue
            }
            if let problem = lookup.unsupported(relation) {
                problems.append(problem)
                continue
            }
            let tree = try RelationTree(of: relation, session: session)
            if let problem = overlap(entry.name, tree, with: listed) { problems.append(problem) }
            listed.append((entry.name, tree))
            var inspection = TableInspection(entry, tree, session: session)
            let table = try inspection.table()
            problems += inspection.problems
            if let table { tables.append(table) }
        }
        let refused = Set(problems.filter { $0.severity == .refuse }.map(\.table))
        return Introspection(tables: tables.filter { !refused.contains($0.name) }, problems: problems)
    }

    /// Two entries that share a relation would hand its rows out twice and count them twice.
    private static func overlap(
        _ name: String, _ tree: RelationTree, with listed: [(name: String, tree: RelationTree)]
    ) -> CatalogProblem? {
        let members = Set(tree.members.map(\.oid))
        for other in listed {
            if other.tree.root.oid == tree.root.oid {
                return CatalogProblem(
                    .refuse, table: name, "it is the same table as \(other.name)",
                    mend: "keep one of the two entries, with all encrypted columns")
            }
            if let shared = other.tree.members.first(where: { members.contains($0.oid) }) {
                return CatalogProblem(
                    .refuse, table: name, "it has \(shared.sqlName) in common with \(other.name)",
                    mend: "list the root of the partition or inheritance tree alone; "
                        + "it stands for everything below it")
            }
        }
        return nil
    }
}
