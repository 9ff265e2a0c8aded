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
    package static func withOtherKeys(
        than target: String, of tables: [EncryptedTable], _ session: PostgresSession
    ) throws(PostgresError) -> [PlannerStatistics] {
        var found: [UInt32: PlannerStatistics] = [:]
        for table in tables {
            for source in PlannerStatisticsStatements.all {
                var parameters = QueryParameters()
                parameters.append(oids: [table.oid] + table.leaves.map(\.oid))
                parameters.append(texts: table.columns.map(\.name))
                try take(session.query(source, parameters), target, table, &found)
            }
        }
        return found.values.sorted { $0.oid < $1.oid }
    }

    private static func take(
        _ result: PostgresResult, _ target: String, _ table: EncryptedTable,
        _ found: inout [UInt32: PlannerStatistics]
    ) throws(PostgresError) {
        for row in 0..<result.rowCount {
            guard let value = result.bytes(row, 4) else { continue }
            var keyIDs = EnvelopeFragments(in: Array(value)).keyIDs
            keyIDs.remove(target)
            if keyIDs.isEmpty { continue }
            let oid = try result.objectID(row, 0)
            let (schema, name) = (try result.text(row, 1), try result.text(row, 2))
            let isPartitioned = try result.flag(row, 3)
            // NULL: of no single column.
            let isOfColumn = result.string(row, 5) != nil
            var statistics =
                found[oid]
                ?? PlannerStatistics(
                    oid: oid, schema: schema, name: name, isPartitioned: isPartitioned, keyIDs: [],
                    columns: table.columns.map(\.name))
            statistics.keyIDs.formUnion(keyIDs)
            if !isOfColumn { statistics.columns = nil }
            found[oid] = statistics
        }
    }
}
