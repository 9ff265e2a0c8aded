import Catalog
import Testing

@testable import Verification

@Suite("What is ignored is stated; a key of ours in it speaks against the verdict")
struct IgnoredColumnTests {
    private func objection(
        _ reason: CoverageFinding.Reason, _ keyIDs: [String], retired: Set<String> = []
    ) -> String? {
        let finding = CoverageFinding(
            schema: "public", table: "t", column: "c", type: "text", kind: .table, reason: reason,
            keyIDs: keyIDs)
        return IgnoredColumn(QualifiedColumn(schema: "public", table: "t", column: "c"), finding: finding)
            .objection(target: "kek-v2", retired: retired)
    }

    @Test func envelopesUnderAKeyOfOursSpeakAgainstTheVerdict() {
        #expect(
            objection(.envelopes, ["kek-v1"])?.contains("public.t.c holds envelopes under kek-v1") == true)
        #expect(objection(.envelopes, ["crm-7", "kek-v2"]) == nil)
        #expect(objection(.envelopes, ["crm-7", "kek-v1"])?.contains("under kek-v1 and") == true)
        #expect(objection(.envelopes, ["crm-7"], retired: ["crm-7"]) != nil)
        #expect(objection(.envelopes, ["kek-v3"]) == nil, "a later one may be another application's")
        #expect(objection(.envelopes, ["kek-v3"], retired: ["kek-v3"]) != nil, "after a rollback")
    }

    @Test func envelopesInsideLargerValuesDoToo() {
        #expect(objection(.embedded, ["kek-v1"])?.contains("inside larger values") == true)
        #expect(objection(.embedded, ["crm-7"]) == nil)
        #expect(objection(.embedded, [])?.contains("does not show under which keys") == true)
    }

    /// A large object, or a place in the system catalogs.
    @Test func objectsThatAreNoColumnAreNamed() {
        var finding = CoverageFinding(
            schema: "pg_catalog", table: "pg_largeobject", column: "data", type: "bytea", kind: .largeObject,
            reason: .envelopes, keyIDs: ["kek-v1"])
        finding.objects = ["large object 7"]
        let column = IgnoredColumn(finding.qualifiedColumn, finding: finding)
        #expect(
            column.objection(target: "kek-v2", retired: [])?.contains("change or drop large object 7") == true
        )
        finding.keyIDs = []
        #expect(
            IgnoredColumn(finding.qualifiedColumn, finding: finding)
                .objection(target: "kek-v2", retired: [])?.contains("does not show under which keys") == true)
    }

    @Test func whatHoldsNoEnvelopeIsNoObjection() {
        #expect(objection(.name, []) == nil)
        #expect(objection(.notLookedAt("the role lacks SELECT on it"), []) == nil)
        #expect(
            IgnoredColumn(QualifiedColumn(schema: "a", table: "b", column: "c"))
                .objection(target: "kek-v2", retired: []) == nil)
    }

    @Test(arguments: [
        ("kek-v1", "kek-v2", true), ("kek-v9", "kek-v10", true), ("kek-v09", "kek-v9", false),
        ("kek", "kek-v2", true), ("kek-v2", "kek-v2", false), ("kek-v3", "kek-v2", false),
        ("other-v1", "kek-v2", false), ("kek-v99999999999999999999", "kek-v100000000000000000000", true),
        ("1", "2", true),
    ])
    func anEarlierKeyOfASeriesIsKnownByItsNumber(_ id: String, _ other: String, isEarlier: Bool) {
        #expect(KeySeries.isEarlier(id, than: other) == isEarlier)
    }
}
