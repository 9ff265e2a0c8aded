import Catalog
import Postgres
import Verification

/// What fences refuse, column by column.
enum StandingFences {
    /// The key ids that a validated fence refuses in every encrypted column, on each relation that stores rows. Ids are
    /// those that the fences' comments name; whether they are refused, the constraints are asked.
    static func refusedKeyIDs(
        in tables: [EncryptedTable], _ session: PostgresSession
    ) throws -> Set<String> {
        var candidates: Set<String> = []
        for table in tables {
            for fence in try FenceInspection(table, session: session).fences {
                candidates.formUnion(fence.mark?.retired ?? [])
            }
        }
        return try candidates.filter { id in
            try !tables.isEmpty
                && tables.allSatisfy { try FenceInspection.isFenced($0, session: session, retired: [id]) }
        }
    }
}
