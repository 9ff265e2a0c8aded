import Catalog
import Envelope

/// What the lanes of one pass share.
struct DepthWork: Sendable {
    let dispenser: RangeDispenser
    /// By position of the leaf.
    let statements: [DepthStatements]
    let depth: Depth
    /// The target key and no other: what it does not open does not open.
    let keyring: Keyring
    /// The chance of a row to be looked at; nil: all rows.
    var sampleMillionths: Int?
    /// Only row versions written by transactions that were under way then, or began later; nil: all.
    var since: TransactionHorizon?
    /// In a search for duplicates: the nonces whose values are to be named. Failures are not, then.
    var wantedNonces: Set<UInt64> = []

    init(_ leaves: [RangeDispenser.Leaf], depth: Depth, targetKey: KeyEncryptionKey) throws(KeyringError) {
        dispenser = RangeDispenser(leaves)
        statements = leaves.map { DepthStatements($0.table, $0.leaf) }
        self.depth = depth
        keyring = try Keyring(primary: targetKey)
    }
}
