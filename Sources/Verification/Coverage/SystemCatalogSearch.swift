import Catalog
import Postgres

/// Looks for envelopes in the system catalogs: in defaults, constraints, indexes, views, rules, functions, triggers,
/// policies, comments, labels, options and settings. It asks each of their columns that can hold text, so a catalog
/// that a later version adds is searched too.
struct SystemCatalogSearch {
    private static let fetched = 50

    /// `bytea`, `text`, `pg_node_tree`, `text[]`, `anyarray`. Source: pg_type.dat.
    private static let types = "17, 25, 194, 1009, 2277"

    /// Looked at elsewhere: `pg_largeobject` (LargeObjectSearch), `pg_statistic` and `pg_statistic_ext_data`
    /// (PlannerStatistics). Subscriptions hold connections and names.
    private static let columns = """
        SELECT c.relname, a.attname,
            EXISTS (SELECT FROM pg_catalog.pg_attribute o WHERE o.attrelid = c.oid AND o.attname = 'oid')
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind = 'r' AND c.oid < 16384
            AND a.atttypid IN (\(types))
            AND c.relname NOT IN ('pg_largeobject', 'pg_statistic', 'pg_statistic_ext_data', 'pg_subscription')
            AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
        UNION ALL
        SELECT 'pg_settings', 'setting', false
        ORDER BY 1, 2
        """

    func run(_ session: PostgresSession, _ tally: inout CoverageTally) throws(PostgresError) {
        let result = try session.query(Self.columns)
        for row in 0..<result.rowCount {
            let (relation, column) = (try result.text(row, 0), try result.text(row, 1))
            let place = SystemColumn(relation, column, hasOID: try result.flag(row, 2))
            do throws(PostgresError) {
                if let finding = try look(place, session) { tally.add(finding) }
            } catch {
                if error.breaksConnection { throw error }
                tally.add(place.finding(.notLookedAt(error.message), objects: [place.name]))
            }
        }
    }

    private func look(
        _ place: SystemColumn, _ session: PostgresSession
    ) throws(PostgresError) -> CoverageFinding? {
        let value = "pg_catalog.concat(t.\(SQLIdentifier.quoted(place.column)))"
        let marks = ["dek_wrapped", EnvelopeTrace.memberInHex, NodeTree.spelling("dek_wrapped")]
        let result = try session.query(
            """
            SELECT \(place.description), \(value) FROM \(place.from)
            WHERE \(place.condition) AND \(SampleStatements.spells(marks, value, isBytes: false))
            LIMIT \(Self.fetched)
            """)
        var objects: Set<String> = []
        var keyIDs: Set<String> = []
        for row in 0..<result.rowCount {
            guard let bytes = result.bytes(row, 1) else { continue }
            let parts = [Array(bytes)] + NodeTree.constants(in: bytes)
            var isFound = false
            for part in parts {
                let labels = EnvelopeFragments(in: part).keyIDs
                keyIDs.formUnion(labels)
                // A constant of type jsonb has no labels that could be read here.
                isFound = isFound || !labels.isEmpty || EnvelopeLabels.holdEnvelope(part)
            }
            guard isFound else { continue }
            // An object that was dropped meanwhile has no description any more.
            objects.insert(result.string(row, 0) ?? place.name)
        }
        if objects.isEmpty { return nil }
        var finding = place.finding(.envelopes, objects: objects.sorted())
        finding.keyIDs = keyIDs.sorted()
        return finding
    }
}
