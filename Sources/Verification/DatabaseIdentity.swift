/// Which database was looked at, and at which point of its history: what tells two copies apart.
package struct DatabaseIdentity: Sendable, Hashable, Encodable {
    package let name: String
    /// Another one once the database was dropped and made again, or copied within the server.
    package let oid: UInt32
    package let serverVersion: String
    /// The same for all physical copies; nil where the role may not ask.
    package let systemIdentifier: String?
    /// Differs between a physical copy that was promoted and its origin; nil where the role may not ask.
    package let timeline: Int?
    package let isStandby: Bool
    /// Everything that the snapshot sees was written before this position; on a standby, replayed before it.
    package let lsn: String
    /// The server's clock when the snapshot was taken, UTC: `2024-01-15T10:00:00Z`.
    package let snapshotTime: String

    package init(
        name: String, oid: UInt32, serverVersion: String, systemIdentifier: String?, timeline: Int?,
        isStandby: Bool,
        lsn: String, snapshotTime: String
    ) {
        self.name = name
        self.oid = oid
        self.serverVersion = serverVersion
        self.systemIdentifier = systemIdentifier
        self.timeline = timeline
        self.isStandby = isStandby
        self.lsn = lsn
        self.snapshotTime = snapshotTime
    }
}
