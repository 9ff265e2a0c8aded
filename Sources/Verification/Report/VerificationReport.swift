import FoundationEssentials

/// What `verify --report FILE` holds: one JSON object, described in `docs/report.md` and, for programs, in
/// `docs/report.schema.json`. Members may be added under the same `schema_version`; none changes its meaning.
package struct VerificationReport: Encodable, Sendable {
    let schemaVersion = 1
    let kind = "verification"
    let tool: Tool
    let startedAt: String
    let finishedAt: String
    let durationSeconds: Double
    /// For how long the snapshot kept VACUUM from removing dead rows.
    let snapshotHeldSeconds: Double
    @Nullable var challenge: String? = nil
    /// Which key signs this file; null: none does, and nothing vouches for what it says.
    @Nullable var signature: Signature? = nil
    let database: Database
    let catalog: Catalog
    let scope: Scope
    let keys: Keys
    let depth: String
    @Nullable var sample: Sample? = nil
    let census: [CensusGroup]
    let nulls: [NullGroup]
    /// Records that are labelled with the target key and do not open with it.
    let unopenedRecords: Int
    let duplicates: Duplicates
    @Nullable var coverage: CoverageSection? = nil
    let fence: Fence
    let openTransactions: [OpenTransaction]
    let durability: Durability
    let watch: Watch
    let verdict: Verdict
    /// All of them; `failures` lists the first ones.
    let failuresTotal: Int
    /// Written behind the rest, a line each.
    let failures: [Failure]

    private enum CodingKeys: CodingKey {
        case schemaVersion, kind, tool, startedAt, finishedAt, durationSeconds, snapshotHeldSeconds, challenge
        case signature, database, catalog, scope, keys, depth, sample, census, nulls, unopenedRecords,
            duplicates
        case coverage, fence, openTransactions, durability, watch, verdict, failuresTotal
    }

    /// The exact bytes of the file.
    package func bytes() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.withoutEscapingSlashes, .prettyPrinted, .sortedKeys]
        var text = String(decoding: try encoder.encode(self), as: UTF8.self)
        guard text.hasSuffix("\n}") else { throw ReportError("the report could not be composed") }
        text.removeLast(2)
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        let lines = try failures.map { "\n    " + String(decoding: try encoder.encode($0), as: UTF8.self) }
        text += ",\n  \"failures\" : [\(lines.joined(separator: ","))\(lines.isEmpty ? "" : "\n  ")]\n}\n"
        return Array(text.utf8)
    }
}
