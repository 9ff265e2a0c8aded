package import Catalog
package import Postgres

/// What fences that stand prove: which values cannot get into the tables any more.
package enum FenceProof {
    /// The key ids that validated fences refuse in every encrypted column of every table, on the table itself and on
    /// each relation that stores its rows. A constraint counts for the ids that its stored expression refuses in every
    /// spelling; its name and comment do not matter.
    ///
    /// It needs no more than the right to read, and runs in the caller's snapshot. A table whose partitions or
    /// children are others than those that `tables` knows has no fence.
    package static func refusedKeyIDs(
        in tables: [EncryptedTable], _ session: PostgresSession
    ) throws -> Set<String> {
        var refused: Set<String>?
        for table in tables {
            guard try TableIdentity.change(of: [table], session) == nil else { return [] }
            let inspection = try FenceInspection(table, session: session)
            for column in table.columns {
                for relation in inspection.relations {
                    let here = inspection.refusedKeyIDs(column, on: relation.oid)
                    refused = refused?.intersection(here) ?? here
                }
            }
            if refused?.isEmpty == true { return [] }
        }
        return refused ?? []
    }
}
