/// Everything that a verification found, as plain data: what the verdict follows from, and what a report holds.
package struct VerificationOutcome: Sendable, Encodable {
    package struct CensusGroup: Sendable, Hashable, Encodable {
        package let table: String
        package let column: String
        /// Nil for values that are no envelope.
        package let keyID: String?
        package let records: Int

        package init(table: String, column: String, keyID: String?, records: Int) {
            self.table = table
            self.column = column
            self.keyID = keyID
            self.records = records
        }
    }

    /// What a sample can say: records drawn at random, each with the same chance.
    package struct Sample: Sendable, Hashable, Encodable {
        package let percent: Double
        /// How many were opened.
        package let records: Int

        package init(percent: Double, records: Int) {
            self.percent = percent
            self.records = records
        }
    }

    /// A transaction that was open when the snapshot was taken, and may commit what the snapshot did not see.
    package struct OpenTransaction: Sendable, Hashable, Encodable {
        package let transactionID: String
        /// Nil for a prepared one, which no session holds.
        package let pid: Int?
        package let applicationName: String
        package let user: String
        /// The name of a prepared transaction.
        package let preparedName: String?
        package let tables: String
    }

    /// Two or more rows that hold the same nonce and ciphertext: one was copied from the other.
    package struct Duplicate: Sendable, Hashable, Encodable {
        /// `table.column (id=…)`.
        package let places: [String]
    }

    /// How far the search for duplicates went.
    package struct DuplicateSearch: Sendable, Hashable, Encodable {
        package var found: [Duplicate] = []
        package var foundTotal = 0
        /// All values whose nonce falls into this part of all nonces were compared with one another; 0: none.
        package var coveredFraction = 0.0

        package init() {}
    }

    /// Whether what the snapshot saw survives the loss of this server.
    package struct Durability: Sendable, Hashable, Encodable {
        package var isFlushedHere = false
        /// Standbys whose flushed position has reached the snapshot's.
        package var flushedStandbys = 0
        /// Standbys that had not reached it in time.
        package var laggingStandbys: [String] = []
        /// Standbys whose position this role may not see.
        package var hiddenStandbys = 0
        /// What is known of standbys that are not connected, each a sentence that speaks against the verdict.
        package var absentStandbys: [String] = []

        package init() {}
    }

    /// Values under a retired key that `--watch` saw after the verification.
    package struct Sighting: Sendable, Hashable, Encodable {
        package let table: String
        package let column: String
        package let keyID: String?
        package let records: Int
        /// UTC, by the server's clock.
        package let time: String
        /// Sessions that were writing to the table then; a hint, no proof.
        package let writers: [String]
    }

    package var database: DatabaseIdentity
    package var targetKeyID: String
    package var depth: Depth
    package let scope: VerificationScope
    /// Ids of retired keys as the settings name them.
    package let namedRetiredKeyIDs: [String]
    package var sample: Sample?
    package var census: [CensusGroup] = []
    /// Columns with their NULLs, which are no records; `keyID` is nil.
    package var nulls: [CensusGroup] = []
    package var failures = FailureList()
    /// Failed records that are labelled with the target key all the same: wrapped by another, or damaged.
    package var unopenedRecords = 0
    package var duplicates = DuplicateSearch()
    /// Encrypted data outside the catalog; nil where nobody has looked.
    package var coverageProblems: [String]?
    /// The key ids that the server refuses in every encrypted column of the tables that were looked at.
    package var fencedKeyIDs: Set<String> = []
    package var openTransactions: [OpenTransaction] = []
    /// Transactions that may attach a table which was not read, each a few words.
    package var pendingDefinitions: [String] = []
    package var durability = Durability()
    package var sightings: [Sighting] = []
    /// How long `--watch` looked, in seconds.
    package var watchedSeconds = 0.0
    package var durationSeconds = 0.0
    /// How long the snapshot kept VACUUM from removing dead rows.
    package var snapshotHeldSeconds = 0.0

    package init(
        database: DatabaseIdentity, targetKeyID: String, depth: Depth, scope: VerificationScope,
        namedRetiredKeyIDs: [String]
    ) {
        self.scope = scope
        self.namedRetiredKeyIDs = namedRetiredKeyIDs
        self.database = database
        self.targetKeyID = targetKeyID
        self.depth = depth
    }

    package var totalRecords: Int { census.reduce(0) { $0 + $1.records } }
    /// Records that are not labelled with the target key, unreadable ones included.
    package var oldRecords: Int {
        census.reduce(0) { $1.keyID == targetKeyID ? $0 : $0 + $1.records }
    }
    /// The retired ids that are known: those that the settings name, else those that fences name.
    package var retiredKeyIDs: [String] {
        namedRetiredKeyIDs.isEmpty
            ? fencedKeyIDs.filter { $0 != targetKeyID }.sorted() : namedRetiredKeyIDs
    }
    /// Whether the server refuses values under every retired key. What fences name is not known to be all: an
    /// earlier rotation's fence says nothing of the key that goes out now.
    package var isFenced: Bool {
        !namedRetiredKeyIDs.isEmpty && fencedKeyIDs.isSuperset(of: namedRetiredKeyIDs)
    }
    package var verdict: Verdict { Verdict(of: self) }
}
