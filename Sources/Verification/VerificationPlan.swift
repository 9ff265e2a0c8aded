package import Catalog
package import Envelope
package import Postgres

/// What to verify, and how.
package struct VerificationPlan: Sendable {
    package let settings: ConnectionSettings
    /// The target, and the only key that values are opened with.
    package let targetKey: KeyEncryptionKey
    /// Ids of former keys as the settings name them (`--retired`, the previous keys); the keys themselves are not
    /// here.
    package let retiredKeyIDs: [String]
    package let scope: VerificationScope
    package var depth = Depth.values
    /// The share of the rows to open, in percent; nil: all.
    package var samplePercent: Double?
    /// Connections that read side by side.
    package var concurrency = 2
    /// How long transactions that were open are waited for.
    package var openTransactionWait = Duration.seconds(60)
    /// How long to look on for values under retired keys.
    package var watch: Duration?
    /// How long servers are given to write to disk what the snapshot saw.
    package var durabilityWait = Duration.seconds(60)

    /// The catalog's tables as the session's snapshot has them. Throws where one of them cannot be judged.
    package let resolveTables: @Sendable (PostgresSession) throws -> [EncryptedTable]
    /// The key ids that the server refuses in every encrypted column of all of the tables.
    package var fencedKeyIDs: @Sendable ([EncryptedTable], PostgresSession) throws -> Set<String> = { _, _ in
        []
    }
    /// Encrypted data outside the catalog, each a sentence that speaks against the verdict; nil: not looked at.
    package var coverage: (@Sendable (PostgresSession) throws -> [String])?

    package init(
        settings: ConnectionSettings, targetKey: KeyEncryptionKey, retiredKeyIDs: [String],
        scope: VerificationScope,
        resolveTables: @escaping @Sendable (PostgresSession) throws -> [EncryptedTable]
    ) {
        self.settings = settings
        self.targetKey = targetKey
        self.retiredKeyIDs = retiredKeyIDs
        self.scope = scope
        self.resolveTables = resolveTables
    }

    package var targetKeyID: String { targetKey.id.description }
    /// Reads the catalog's tables in one piece, as their names lead to them then.
    func hold(_ observer: any VerificationObserver) -> SnapshotHold {
        SnapshotHold(
            settings, lockPatience: openTransactionWait, definitionPatience: openTransactionWait,
            waiting: { observer.began($0) }, resolve: resolveTables)
    }

    var keyIDs: [String] { [targetKeyID] + retiredKeyIDs }
    var sampleMillionths: Int? { samplePercent.map { Int(($0 * 10_000).rounded()) } }
}
