package import Catalog
package import Postgres

extension SnapshotHold {
    /// How long transactions are waited for that may attach a table, where nobody says otherwise.
    package static let usualDefinitionPatience: Duration = .seconds(10)

    /// Of tables that were looked up when a job began, and must still be what their names lead to.
    package init(
        of tables: [EncryptedTable], _ settings: ConnectionSettings,
        lockPatience: Duration = .seconds(30), definitionPatience: Duration,
        waiting: @escaping @Sendable (String) -> Void
    ) {
        self.init(
            settings, lockPatience: lockPatience, definitionPatience: definitionPatience, waiting: waiting
        ) { session in
            try tables.map { table in
                let now = try table.identity.readAgain(session)
                if let change = table.identity.objects.change(to: now?.objects) {
                    throw SnapshotHoldError.moved("\(table.name): \(change)")
                }
                guard let now else { throw SnapshotHoldError.moved("\(table.name) is gone") }
                return table.identified(as: now)
            }
        }
    }

    /// Counts every value by its label.
    /// - Parameter keyIDs: see `CensusTaker`.
    package func census(keyIDs: [String]) async throws -> Reading<Census> {
        try await read { held in
            let taker = CensusTaker(held.tables, keyIDs: keyIDs)
            return try await held.reader.perform { try taker.take($0) }
        }
    }
}
