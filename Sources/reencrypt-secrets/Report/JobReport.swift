import BatchQueue
import Envelope
import FoundationEssentials
import Rotation
import Verification

/// What `--report FILE` holds: one JSON object, `schema_version` 1. Failed records follow in `failures`; they
/// are written one by one, since there may be millions.
struct JobReport: Encodable {
    struct Tool: Encodable {
        let name = "reencrypt-secrets"
        let version = ToolVersion.current
    }

    struct Key: Encodable {
        let id: String
        let checkValue: String

        init(_ key: KeyEncryptionKey) {
            id = key.id.description
            checkValue = key.checkValue.description
        }
    }

    struct Database: Encodable {
        let name: String
        @Nullable var systemIdentifier: String?
        let serverVersion: String

        init(_ identity: DatabaseIdentity) {
            name = identity.name
            serverVersion = identity.serverVersion
            systemIdentifier = identity.systemIdentifier
        }
    }

    struct CensusGroup: Encodable {
        let table: String
        let column: String
        /// Null for values that are no envelope.
        @Nullable var keyId: String?
        let records: Int

        static func groups(_ census: Census) -> [CensusGroup] {
            census.sortedGroups().map {
                CensusGroup(
                    table: $0.group.table, column: $0.group.column, keyId: $0.group.label.keyID,
                    records: $0.records)
            }
        }
    }

    struct Records: Encodable {
        let totalFirstCensus: Int
        let handedOut: Int
        let rewrapped: Int
        let superseded: Int
        let failed: Int
    }

    /// The report in one line, without the failed records.
    func oneLine() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    let schemaVersion = 1
    let tool = Tool()
    let startedAt: String
    let finishedAt: String
    let durationSeconds: Double
    /// `complete`, `incomplete`, `stopped`, `refused`.
    let outcome: String
    @Nullable var reason: String?
    let mode: String
    let dryRun: Bool
    /// Null where no key could be read.
    @Nullable var targetKey: Key?
    let keys: [Key]
    @Nullable var database: Database?
    /// Tables of the catalog that `--table` leaves out: the outcome says nothing about them.
    let tablesLeftOut: [String]
    @Nullable var censusBefore: [CensusGroup]?
    @Nullable var censusAfter: [CensusGroup]?
    let records: Records
    let sweeps: Int
}
