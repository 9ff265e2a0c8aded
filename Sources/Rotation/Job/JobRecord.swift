import Catalog
package import Envelope
import FoundationEssentials
package import Verification

/// What coordinator and workers must agree on, as it is kept in Redis. Redis is not trusted: the record carries
/// an authentication code under the target KEK, and nothing in it is believed before that has been checked.
package struct JobRecord: Codable, Sendable, Hashable {
    package struct Key: Codable, Sendable, Hashable {
        package let id: String
        package let checkValue: String

        enum CodingKeys: String, CodingKey {
            case id
            case checkValue = "check_value"
        }
    }

    package let job: String
    /// Of the advisory lock that stands for the job.
    package let lockKey: Int64
    package let mode: RotationMode
    package let targetKeyID: String
    package let keys: [Key]
    /// SHA-256 of the catalog's canonical text, hex.
    package let catalogDigest: String
    /// Nil where the role may not see it.
    package let systemIdentifier: String?
    package let database: String
    /// Another one once the database was dropped and made again; nil in records of version 0.1.0.
    package let databaseOID: UInt32?

    enum CodingKeys: String, CodingKey {
        case job, mode, keys, database
        case lockKey = "lock_key"
        case targetKeyID = "target_key"
        case catalogDigest = "catalog_digest"
        case systemIdentifier = "system_identifier"
        case databaseOID = "database_oid"
    }

    package init(
        job: String, lockKey: Int64, mode: RotationMode, keyring: Keyring, catalogDigest: String,
        database: DatabaseIdentity
    ) {
        self.job = job
        self.lockKey = lockKey
        self.mode = mode
        targetKeyID = keyring.primary.id.description
        keys = keyring.keys.map { Key(id: $0.id.description, checkValue: $0.checkValue.description) }
        self.catalogDigest = catalogDigest
        systemIdentifier = database.systemIdentifier
        self.database = database.name
        databaseOID = database.oid
    }

    /// A job id and a lock key that no earlier job has.
    package static func draw() -> (job: String, lockKey: Int64) {
        let number = UInt64.random(in: 1...UInt64.max)
        return (String(number, radix: 16), Int64.random(in: 1...Int64.max))
    }

    // MARK: Authentication

    /// Set apart from whatever else may ever be authenticated under a KEK.
    private static let domain = "reencrypt-secrets job record\n"

    /// The record as text with its code under the primary key.
    package func authenticated(by keyring: Keyring) throws -> (record: String, code: String) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let record = String(decoding: try encoder.encode(self), as: UTF8.self)
        return (record, Self.hex(try Self.code(of: record, under: keyring.primary)))
    }

    /// Reads a record that Redis holds.
    /// - Throws: `refused`, with what differs, where this process must have nothing to do with the job.
    package init(verifying record: String, code: String, keyring: Keyring) throws {
        let read: JobRecord
        do {
            read = try JSONDecoder().decode(JobRecord.self, from: Data(record.utf8))
        } catch is DecodingError {
            throw RotationError(
                .refused, "refused: the job's record in Redis cannot be read; it was damaged or forged")
        }
        // The check values first: they say what differs, which the code alone would not.
        guard read.targetKeyID == keyring.primary.id.description else {
            throw RotationError(
                .refused,
                "refused: the job's target is \(read.targetKeyID), and the primary key here is \(keyring.primary.id), which differs. "
                    + "Deploy the job's target as SECRETS_ENCRYPTION_KEY here, or take this process off the queue"
            )
        }
        for key in read.keys {
            guard let own = keyring.keys.first(where: { $0.id.description == key.id }) else {
                throw RotationError(
                    .refused,
                    "refused: the job uses \(key.id), which is not configured here. Add it to SECRETS_ENCRYPTION_KEY_PREVIOUS"
                )
            }
            guard own.checkValue.description == key.checkValue else {
                throw RotationError(
                    .refused,
                    "refused: the key \(key.id) here (check value \(own.checkValue)) differs from the job's (\(key.checkValue)). "
                        + "Correct the key here; nothing was touched")
            }
        }
        let expected = try Self.code(of: record, under: keyring.primary)
        guard Digest.areEqual(Array(Self.hex(expected).utf8), Array(code.utf8)) else {
            throw RotationError(
                .refused,
                "refused: the job's record in Redis is not authentic under \(keyring.primary.id); it was damaged or forged"
            )
        }
        self = read
    }

    /// - Throws: `refused` where this process has another catalog or database.
    package func check(catalogDigest: String, database live: DatabaseIdentity) throws {
        guard catalogDigest == self.catalogDigest else {
            throw RotationError(
                .refused,
                "refused: the catalog here differs from the job's. Deploy the same catalog file everywhere")
        }
        let sameSystem =
            live.systemIdentifier == nil || systemIdentifier == nil
            || live.systemIdentifier == systemIdentifier
        let sameOID = databaseOID == nil || databaseOID == live.oid
        guard sameSystem, sameOID, live.name == database else {
            let oid = databaseOID.map { ", oid \($0)" } ?? ""
            throw RotationError(
                .refused,
                "refused: the database here (\(live.name), oid \(live.oid)) differs from the job's (\(database)\(oid)). "
                    + "Correct DATABASE_URL; if the database was made again, cancel the job")
        }
    }

    /// - Parameter canonicalText: of the catalog.
    package static func digest(ofCatalog canonicalText: String) throws -> String {
        hex(try Digest.sha256(Array(canonicalText.utf8)))
    }

    private static func code(of record: String, under key: KeyEncryptionKey) throws -> [UInt8] {
        try key.authenticationCode(for: Array((domain + record).utf8))
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
