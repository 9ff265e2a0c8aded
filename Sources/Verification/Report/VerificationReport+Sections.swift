/// The parts of the report, as its readers see them: a change of the verifier's own types changes nothing here
/// unless somebody writes it down.
extension VerificationReport {
    struct Tool: Encodable, Sendable {
        let name = "reencrypt-secrets"
        let version: String
    }

    struct Signature: Encodable, Sendable {
        let algorithm = "Ed25519"
        /// The 32 bytes of the public key in hex: for finding the key, not for trusting it.
        let publicKey: String
    }

    struct Database: Encodable, Sendable {
        let name: String
        let oid: UInt32
        let serverVersion: String
        @Nullable var systemIdentifier: String?
        @Nullable var timeline: Int?
        let isStandby: Bool
        let snapshotLsn: String
        let snapshotTime: String
    }

    struct Catalog: Encodable, Sendable {
        /// SHA-256, in hex, of the whole catalog's canonical text: the same as that of a job over all of it.
        let digest: String
    }

    /// Public fingerprints: they say nothing of the keys.
    package struct Key: Encodable, Sendable {
        let id: String
        /// Null where the key was not configured, as nothing needs a retired key any more.
        @Nullable var checkValue: String?

        package init(id: String, checkValue: String?) {
            self.id = id
            self.checkValue = checkValue
        }
    }

    struct Keys: Encodable, Sendable {
        let target: Key
        let retired: [Key]
    }

    struct Sample: Encodable, Sendable {
        let percent: Double
        let records: Int
        /// With 95 % confidence fewer than this part of all records are bad, if none of the sample is.
        @Nullable var badFractionBelow: Double?
    }

    struct CensusGroup: Encodable, Sendable {
        let table: String
        let column: String
        /// Null for values that are no envelope.
        @Nullable var keyId: String?
        let records: Int
    }

    struct NullGroup: Encodable, Sendable {
        let table: String
        let column: String
        let rows: Int
    }

    struct Duplicates: Encodable, Sendable {
        let total: Int
        /// Places that hold the same nonce and ciphertext.
        let listed: [[String]]
        let coveredFraction: Double
    }

    struct OpenTransaction: Encodable, Sendable {
        let transactionId: String
        @Nullable var pid: Int?
        let applicationName: String
        let user: String
        @Nullable var preparedName: String?
        let tables: String
    }

    struct Durability: Encodable, Sendable {
        let isFlushedHere: Bool
        let flushedStandbys: Int
        let laggingStandbys: [String]
        let hiddenStandbys: Int
        let absentStandbys: [String]
    }

    struct Sighting: Encodable, Sendable {
        let table: String
        let column: String
        @Nullable var keyId: String?
        let records: Int
        let time: String
        let writers: [String]
    }

    struct Watch: Encodable, Sendable {
        let seconds: Double
        let sightings: [Sighting]
    }

    struct Failure: Encodable, Sendable {
        let table: String
        let id: RowID
        let column: String
        @Nullable var keyId: String?
        let reason: String
    }

    /// An id of one column is a text, of several a list: as in a job's report and on the queue.
    struct RowID: Encodable, Sendable {
        let texts: [String]

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            if texts.count == 1 {
                try container.encode(texts[0])
            } else {
                try container.encode(texts)
            }
        }
    }

    struct RestorePoint: Encodable, Sendable {
        let lsn: String
        let time: String
    }

    struct Verdict: Encodable, Sendable {
        /// `proven`, `partial`, `estimate`, `not proven`.
        let result: String
        let proven: Bool
        /// Less than a proof, and nothing bad is known of what was looked at.
        let partial: Bool
        /// What `verify` ended with.
        let exitCode: Int
        let sentence: String
        /// Everything that keeps it from being proven.
        let objections: [String]
        /// Those of them that were not looked at, rather than found.
        let missing: [String]
        let doesNotProve: [String]
        /// A restore to this point or later needs the target key alone; null unless proven.
        @Nullable var earliestRestorePoint: RestorePoint?
    }
}
