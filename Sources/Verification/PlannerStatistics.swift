package import Catalog
package import Postgres

/// What ANALYZE has kept of the catalog's columns. The planner's statistics hold whole values, and go on holding old
/// ones after a rotation until the next ANALYZE. `pg_stats` shows what the role may read.
package struct PlannerStatistics: Sendable, Hashable {
    /// The statistics of one relation that hold envelopes under other keys than the target.
    package let oid: UInt32
    package let schema: String
    package let name: String
    /// They are of a partitioned table, whose ANALYZE looks at its partitions as well.
    package let isPartitioned: Bool
    package var keyIDs: Set<String>
    /// The columns to look at again; nil: all, because ANALYZE of columns leaves out the statistics of an index's
    /// expressions and those that are kept of several columns together.
    package var columns: [String]?

    /// `"schema"."table"`.
    package var relation: String { SQLIdentifier.quoted(schema) + "." + SQLIdentifier.quoted(name) }

    /// What renews them.
    package var statement: String {
        let list = columns.map { " (\($0.map(SQLIdentifier.quoted).joined(separator: ", ")))" }
        return "ANALYZE \(relation)\(list ?? "")"
    }

    /// What speaks against a verdict.
    package var objection: String {
        let places = columns.map {
            $0.map { CatalogName.dotted([schema, name, $0]) }.joined(separator: ", ")
        }
        return
            "The planner's statistics (pg_stats) of \(places ?? CatalogName.dotted([schema, name])) hold values under "
            + "\(keyIDs.sorted().joined(separator: ", ")): run \(statement) as the table's owner."
    }

    /// Relations of which statistics name another key than the target, by oid.
    /// - Parameter tables: which ones to look at; nil: all of the database. A value may have gone from a column outside
    ///   the catalog, and stay in its statistics.
    /// - Parameter ignored: columns that are none of ours, by their table's name or by its root's.
    package static func withOtherKeys(
        than target: String, of tables: [EncryptedTable]?, ignoring ignored: [QualifiedColumn] = [],
        _ session: PostgresSession
    ) throws(PostgresError) -> [PlannerStatistics] {
        var found: [UInt32: PlannerStatistics] = [:]
        let ignored = Set(ignored.map { ExactName($0) })
        guard let tables else {
            for statement in PlannerStatisticsStatements.ofDatabase {
                try take(session.query(statement), target, ignored, &found)
            }
            return found.values.sorted { $0.oid < $1.oid }
        }
        for table in tables {
            var parameters = QueryParameters()
            parameters.append(oids: [table.oid] + table.leaves.map(\.oid))
            parameters.append(texts: table.columns.map(\.name))
            for statement in PlannerStatisticsStatements.ofTable {
                try take(session.query(statement, parameters), target, ignored, &found)
            }
        }
        return found.values.sorted { $0.oid < $1.oid }
    }

    private static func take(
        _ result: PostgresResult, _ target: String, _ ignored: Set<ExactName>,
        _ found: inout [UInt32: PlannerStatistics]
    ) throws(PostgresError) {
        for row in 0..<result.rowCount {
            guard let value = result.bytes(row, 6) else { continue }
            var keyIDs = EnvelopeFragments(in: Array(value)).keyIDs
            keyIDs.remove(target)
            if keyIDs.isEmpty { continue }
            let oid = try result.objectID(row, 0)
            let (schema, name) = (try result.text(row, 1), try result.text(row, 2))
            let isPartitioned = try result.flag(row, 3)
            let root = (try result.text(row, 4), try result.text(row, 5))
            // NULL: of no single column.
            let column = result.string(row, 7)
            if let column,
                ignored.contains(ExactName(schema, name, column))
                    || ignored.contains(ExactName(root.0, root.1, column))
            {
                continue
            }
            // An expression over a column that is none of ours.
            if column == nil, ignored.contains(where: { $0.isColumn(of: schema, name) }) { continue }
            var statistics =
                found[oid]
                ?? PlannerStatistics(
                    oid: oid, schema: schema, name: name, isPartitioned: isPartitioned, keyIDs: [],
                    columns: [])
            statistics.keyIDs.formUnion(keyIDs)
            if let column {
                let isKnown = statistics.columns?.contains { StoredName($0) == StoredName(column) } ?? true
                if !isKnown { statistics.columns?.append(column) }
            } else {
                statistics.columns = nil
            }
            found[oid] = statistics
        }
    }
}
