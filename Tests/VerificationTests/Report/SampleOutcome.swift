import Foundation

@testable import Verification

/// An outcome with everything in it, as the verifier would hand it over.
enum SampleOutcome {
    static let database = DatabaseIdentity(
        name: "shop", oid: 16_384, serverVersion: "15.4", systemIdentifier: "7711876038151546501",
        timeline: 1,
        isStandby: false, lsn: "0/3000060", snapshotTime: "2024-01-15T10:00:00Z")

    /// Nothing speaks against it.
    static var proven: VerificationOutcome {
        var outcome = VerificationOutcome(
            database: database, targetKeyID: "kek-v2", depth: .values,
            scope: VerificationScope(tables: ["llm_providers"]), namedRetiredKeyIDs: ["kek-v1"])
        outcome.census = [
            .init(table: "llm_providers", column: "api_key_encrypted", keyID: "kek-v2", records: 100)
        ]
        outcome.nulls = [.init(table: "llm_providers", column: "api_key_encrypted", keyID: nil, records: 3)]
        outcome.durability.isFlushedHere = true
        outcome.coverageProblems = []
        outcome.fencedKeyIDs = ["kek-v1"]
        return outcome
    }

    static var unproven: VerificationOutcome {
        var outcome = proven
        outcome.census.append(
            .init(table: "llm_providers", column: "api_key_encrypted", keyID: nil, records: 1))
        outcome.failures.append(
            FailedRecord(
                table: "llm_providers", id: ["7"], column: "api_key_encrypted", keyID: nil,
                reason: "no envelope: the value is not JSON (at byte 0)"))
        outcome.failures.append(
            FailedRecord(
                table: "llm_providers", id: ["8", "ö\"/\\"], column: "api_key_encrypted", keyID: "kek-v1",
                reason: "under kek-v1"))
        outcome.sample = .init(percent: 10, records: 300)
        outcome.fencedKeyIDs = []
        return outcome
    }

    static func circumstances(
        challenge: String? = nil, coverage: Coverage? = nil
    ) -> VerificationReport.Circumstances {
        VerificationReport.Circumstances(
            toolVersion: "0.1.0", startedAt: "2024-01-15T09:59:00Z", finishedAt: "2024-01-15T10:00:01Z",
            challenge: challenge, catalogDigest: String(repeating: "ab", count: 32),
            target: .init(id: "kek-v2", checkValue: "6172a755ed0a4517"),
            retired: [.init(id: "kek-v1", checkValue: nil)], coverage: coverage,
            fences: [
                .init(
                    table: "llm_providers", name: "reencrypt_fence", isValidated: true,
                    retiredKeyIDs: ["kek-v1"])
            ])
    }
}

func bytes(ofFile path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}
