import Foundation
import TestSupport
import Testing

@testable import Envelope
@testable import Verification

@Suite struct ReportSignatureTests {
    /// Writes a report as `verify` does, and reads back both files.
    private func written(
        _ outcome: VerificationOutcome, challenge: String? = nil, key: SignatureKey?,
        coverage: Coverage? = nil
    ) throws -> (report: [UInt8], signature: [UInt8]?) {
        try withTemporaryFolder { folder in
            let path = folder + "/report.json"
            let writer = try VerificationReportWriter(path: path, signingWith: key)
            try writer.finish(
                VerificationReport(
                    outcome, SampleOutcome.circumstances(challenge: challenge, coverage: coverage)))
            let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
            #expect(names == (key == nil ? ["report.json"] : ["report.json", "report.json.sig"]))
            return (
                try bytes(ofFile: path), key == nil ? nil : try bytes(ofFile: path + ".sig")
            )
        }
    }

    @Test func aSignedReportIsBelieved() throws {
        let keys = try KeyPair.first()
        let (report, signature) = try written(
            SampleOutcome.proven, challenge: "2024-Q1/17", key: keys.signing)
        let check = ReportCheck(key: keys.checking, challenge: "2024-Q1/17")
        let held = try check.check(report, signature: try #require(signature))
        #expect(held.isProven)
        #expect(held.verdict.sentence == SampleOutcome.proven.verdict.sentence)
        #expect(held.database.snapshotLsn == "0/3000060")
        #expect(held.challenge == "2024-Q1/17")
        #expect(held.signature?.publicKey.count == 64)
    }

    @Test func aReportThatProvesNothingIsBelievedAsWell() throws {
        let keys = try KeyPair.first()
        let (report, signature) = try written(SampleOutcome.unproven, key: keys.signing)
        let held = try ReportCheck(key: keys.checking, challenge: nil)
            .check(report, signature: try #require(signature))
        #expect(held.verdict.result == "not proven")
        #expect(!held.isProven)
        #expect(held.verdict.objections == SampleOutcome.unproven.verdict.objections)
    }

    @Test func anyChangedByteIsNoticed() throws {
        let keys = try KeyPair.first()
        let (report, signature) = try written(SampleOutcome.unproven, key: keys.signing)
        let original = try #require(signature)
        let check = ReportCheck(key: keys.checking, challenge: nil)
        for index in report.indices {
            var changed = report
            changed[index] ^= 1
            #expect(throws: ReportError.self) { try check.check(changed, signature: original) }
        }
        for index in original.indices {
            var changed = original
            changed[index] ^= 1
            #expect(throws: ReportError.self) { try check.check(report, signature: changed) }
        }
        let others = [report + [10], Array(report.dropLast()), [10] + report, []]
        for changed in others {
            #expect(throws: ReportError.self) { try check.check(changed, signature: original) }
        }
        for changed in [original + [0], Array(original.dropLast()), []] {
            #expect(throws: ReportError.self) { try check.check(report, signature: changed) }
        }
    }

    @Test func anotherKeyIsNoticed() throws {
        let (report, signature) = try written(SampleOutcome.proven, key: try KeyPair.first().signing)
        let check = ReportCheck(key: try KeyPair.second().checking, challenge: nil)
        #expect(throws: ReportError.self) { try check.check(report, signature: try #require(signature)) }
    }

    @Test(arguments: [nil, "", "2024-Q1/16 \u{E9}", "2024-Q1/17 \u{E9} ", "2024-Q1/17 e\u{301}"])
    func anotherChallengeIsNoticed(_ challenge: String?) throws {
        let keys = try KeyPair.first()
        let (report, signature) = try written(SampleOutcome.proven, challenge: challenge, key: keys.signing)
        let check = ReportCheck(key: keys.checking, challenge: "2024-Q1/17 \u{E9}")
        #expect(throws: ReportError.self) { try check.check(report, signature: try #require(signature)) }
    }

    @Test func whatIsSignedAndNoReportIsRefused() throws {
        let keys = try KeyPair.first()
        let check = ReportCheck(key: keys.checking, challenge: nil)
        for text in ["", "{}", "null", #"{"schema_version":1,"kind":"verification"}"#] {
            let signature = try Array(text.utf8).withUnsafeBytes { try keys.signing.sign($0) }
            #expect(throws: ReportError.self) { try check.check(Array(text.utf8), signature: signature) }
        }
    }

    @Test func anUnsignedReportSaysSo() throws {
        let (report, _) = try written(SampleOutcome.proven, key: nil)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(report)) as? [String: Any])
        #expect(object["signature"] is NSNull)
    }

    @Test func anEarlierSignatureDoesNotStayBesideALaterReport() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/report.json"
            let content = VerificationReport(SampleOutcome.proven, SampleOutcome.circumstances())
            try VerificationReportWriter(path: path, signingWith: try KeyPair.first().signing).finish(content)
            try VerificationReportWriter(path: path, signingWith: nil).finish(content)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["report.json"])
        }
    }

    @Test func anAbandonedReportLeavesWhatWasThere() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/report.json"
            try Data("earlier".utf8).write(to: URL(fileURLWithPath: path))
            do {
                _ = try VerificationReportWriter(path: path, signingWith: try KeyPair.first().signing)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["report.json"])
            #expect(try bytes(ofFile: path) == Array("earlier".utf8))
            #expect(throws: ReportError.self) {
                try VerificationReportWriter(path: folder + "/nowhere/report.json", signingWith: nil)
            }
        }
    }

    @Test func aStandbysVerdictIsAnEstimate() throws {
        var outcome = SampleOutcome.proven
        let primary = SampleOutcome.database
        outcome.database = DatabaseIdentity(
            name: primary.name, oid: primary.oid, serverVersion: primary.serverVersion,
            systemIdentifier: primary.systemIdentifier, timeline: primary.timeline, isStandby: true,
            lsn: primary.lsn, snapshotTime: primary.snapshotTime)
        let report = VerificationReport(outcome, SampleOutcome.circumstances())
        #expect(report.verdict.result == "estimate")
        #expect(report.verdict.exitCode == 2)
        #expect(!report.verdict.proven && report.verdict.partial)
        #expect(report.verdict.earliestRestorePoint == nil)
    }

    @Test func theDatabaseMustBeTheReports() throws {
        let keys = try KeyPair.first()
        let (report, signature) = try written(SampleOutcome.proven, key: keys.signing)
        let held = try ReportCheck(key: keys.checking, challenge: nil)
            .check(report, signature: try #require(signature))
        func mismatch(
            _ name: String = "shop", oid: UInt32 = 16_384, _ system: String? = "7711876038151546501",
            timeline: Int? = 1, isStandby: Bool = false, lsn: String = "0/3000060"
        ) -> String? {
            held.mismatch(
                with: DatabaseIdentity(
                    name: name, oid: oid, serverVersion: "15.4", systemIdentifier: system, timeline: timeline,
                    isStandby: isStandby, lsn: lsn, snapshotTime: "2024-01-15T10:00:00Z"))
        }
        #expect(mismatch() == nil)
        #expect(mismatch(lsn: "1/0") == nil, "later than the report")
        #expect(mismatch(timeline: 2)?.contains("timeline 2") == true)
        #expect(mismatch("shop", "7711876038151546502")?.contains("system") == true)
        #expect(mismatch("shop_copy")?.contains("shop_copy") == true)
        #expect(mismatch(oid: 16_385)?.contains("made again") == true)
        #expect(mismatch(lsn: "0/300005F")?.contains("before it") == true)
        #expect(mismatch(isStandby: true, lsn: "0/1")?.contains("has not replayed") == true)
        #expect(mismatch(lsn: "")?.contains("cannot be compared") == true)
        #expect(mismatch("shop", nil) != nil)
        #expect(mismatch(timeline: nil) != nil)
    }

    /// A report that is proven by its word alone, as version 0.1.0 wrote it of a part.
    @Test func aReportWithoutAScopeIsNoProof() throws {
        let keys = try KeyPair.first()
        let (report, _) = try written(SampleOutcome.proven, key: nil)
        let whole = try #require(try JSONSerialization.jsonObject(with: Data(report)) as? [String: Any])
        func isProven(_ change: (inout [String: Any]) -> Void) throws -> Bool {
            var changed = whole
            change(&changed)
            let bytes = Array(try JSONSerialization.data(withJSONObject: changed))
            let signature = try bytes.withUnsafeBytes { try keys.signing.sign($0) }
            return try ReportCheck(key: keys.checking, challenge: nil).check(bytes, signature: signature)
                .isProven
        }
        func with(_ member: String, _ name: String, _ value: Any) -> (inout [String: Any]) -> Void {
            { report in
                var section = report[member] as? [String: Any] ?? [:]
                section[name] = value
                report[member] = section
            }
        }
        #expect(try isProven { _ in })
        #expect(try !isProven { $0["scope"] = nil })
        #expect(try !isProven(with("scope", "is_whole_catalog", false)))
        #expect(try !isProven(with("scope", "depth", "labels")))
        #expect(try !isProven(with("verdict", "proven", false)))
        #expect(try !isProven(with("verdict", "result", "partial")))
        #expect(try !isProven(with("verdict", "objections", ["something"])))
    }
}
