import Postgres

/// Finds the relation that an entry's name means. Not by `to_regclass`, which truncates a long name and fails
/// where a schema may not be used.
struct TableLookup {
    /// As the catalog writes it.
    private let name: String
    private let tableName: TableName
    private let session: PostgresSession

    init(_ entry: CatalogEntry, session: PostgresSession) {
        name = entry.name
        tableName = entry.tableName
        self.session = session
    }

    init(_ tableName: TableName, session: PostgresSession) {
        name = tableName.name
        self.tableName = tableName
        self.session = session
    }

    /// The first relation of that name in the entry's schema, else in the role's `search_path`; of whatever kind,
    /// since tables share their names with views, indexes and sequences.
    func relation() throws(PostgresError) -> Relation? {
        var parameters = QueryParameters()
        parameters.append(text: tableName.name)
        parameters.append(texts: try schemas())
        let result = try session.query(
            """
            SELECT \(Relation.cells)
            FROM pg_catalog.unnest($2) WITH ORDINALITY AS path (schema, position)
            JOIN pg_catalog.pg_namespace n ON n.nspname = path.schema
            JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $1
            ORDER BY path.position LIMIT 1
            """, parameters)
        return result.rowCount == 1 ? try Relation(result, 0) : nil
    }

    private func schemas() throws(PostgresError) -> [String] {
        if let schema = tableName.schema { return [schema] }
        return try session.schemasOfRolePath()
    }

    /// What to say of a name that means nothing: where it exists, or what exists instead.
    func unknown() throws(PostgresError) -> CatalogProblem {
        var parameters = QueryParameters()
        parameters.append(texts: try schemas())
        parameters.append(text: tableName.name)
        // A database may hold more tables than are worth comparing.
        let result = try session.query(
            """
            SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.relname,
                c.relname = $2, n.nspname = ANY ($1)
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            ORDER BY 3 DESC, 4 DESC, 1 LIMIT 10000
            """, parameters)
        var elsewhere: [String] = []
        var inReach: [String] = []
        for row in 0..<result.rowCount {
            if try result.flag(row, 2) { elsewhere.append(try result.text(row, 0)) }
            if try result.flag(row, 3) { inReach.append(try result.text(row, 1)) }
        }
        let place = tableName.schema.map { "the schema \($0)" } ?? "the search_path"
        let message = "there is no such table in \(place)"
        if !elsewhere.isEmpty {
            return CatalogProblem(
                .refuse, table: name, message,
                mend: "a table of that name is \(elsewhere.abridged()): write it with its schema")
        }
        let closest = NameSuggestion.closest(to: tableName.name, among: inReach)
        return CatalogProblem(
            .refuse, table: name, message,
            mend: closest.isEmpty
                ? "\(place) holds no table; is this the right database?"
                : "correct the name; existing tables: \(closest.joined(separator: ", "))")
    }

    /// Relations that are no tables of the application.
    func unsupported(_ relation: Relation) -> CatalogProblem? {
        let reason: String
        let mend: String
        if relation.isSystem {
            reason = "it is \(relation.kind.description) of the system schema \(relation.schema)"
            mend = "list tables of the application alone"
        } else if relation.isTemporary {
            reason = "it is a temporary table, which its own session alone can read"
            mend = "take it out of the catalog"
        } else {
            switch relation.kind {
            case .table, .partitionedTable: return nil
            case .foreignTable:
                reason = "it is a foreign table: its rows are in another database"
                mend = "run the tool on that database, with a catalog of its own"
            default:
                reason = "it is \(relation.kind.description), which stores no rows of its own"
                mend = "list the table that the values are stored in"
                if relation.kind.letter == "m" {
                    return CatalogProblem(
                        .refuse, table: name,
                        "it is a materialised view, a copy that cannot be updated",
                        mend: "list the tables it is made of, and REFRESH it after the rotation")
                }
            }
        }
        return CatalogProblem(.refuse, table: name, reason, mend: mend)
    }
}
