/// The part of a report that a check reads.
package struct HeldReport: Decodable, Sendable {
    package struct Database: Decodable, Sendable, Hashable {
        package let name: String
        /// Nil in reports of version 0.1.0.
        package let oid: UInt32?
        package let systemIdentifier: String?
        package let timeline: Int?
        package let snapshotLsn: String
        package let snapshotTime: String
    }

    package struct Scope: Decodable, Sendable, Hashable {
        package struct Ignored: Decodable, Sendable, Hashable {
            package let schema: String
            package let table: String
            package let column: String
            package let finding: String?
            package let keyIds: [String]
        }

        package let tables: [String]
        package let tablesLeftOut: [String]
        package let isWholeCatalog: Bool
        package let depth: String
        package let ignored: [Ignored]
    }

    package struct Verdict: Decodable, Sendable, Hashable {
        package let result: String
        package let proven: Bool?
        package let sentence: String
        package let objections: [String]
        package let doesNotProve: [String]
    }

    package struct Signature: Decodable, Sendable, Hashable {
        package let publicKey: String
    }

    package let schemaVersion: Int
    package let kind: String
    package let challenge: String?
    package let signature: Signature?
    package let database: Database
    /// Nil in reports of version 0.1.0, which called a part, and labels, proven.
    package let scope: Scope?
    package let verdict: Verdict

    /// Whether the report is a proof: it says so, and it says of what.
    package var isProven: Bool {
        guard let scope, verdict.proven == true,
            verdict.result == Verification.Verdict.Strength.proven.rawValue
        else { return false }
        return scope.isWholeCatalog && scope.depth != Depth.labels.rawValue && verdict.objections.isEmpty
    }
}
