import BatchQueue
import Rotation
import Testing
import Verification

@testable import reencrypt_secrets

@Suite struct OutputTests {
    @Test func timesAreUTCInWholeSeconds() {
        #expect(Timestamp.text(of: 1_705_312_800) == "2024-01-15T10:00:00Z")
        #expect(Timestamp.text(of: 0) == "1970-01-01T00:00:00Z")
    }

    @Test func quantitiesAreGroupedAndDurationsShort() {
        #expect(Quantity.grouped(0) == "0")
        #expect(Quantity.grouped(999) == "999")
        #expect(Quantity.grouped(1_234_567) == "1,234,567")
        #expect(Quantity.duration(.seconds(59)) == "59 s")
        #expect(Quantity.duration(.seconds(200)) == "3 min 20 s")
        #expect(Quantity.duration(.seconds(18_720)) == "5 h 12 min")
        #expect(Quantity.percent(0.125) == "12.5 %")
    }

    @Test func aCensusIsATable() {
        var before = Census()
        before.add(1_234, table: "llm_providers", column: "api_key", label: .key("kek-v1"))
        before.add(1, table: "llm_providers", column: "api_key", label: .unreadable)
        var after = Census()
        after.add(1_234, table: "llm_providers", column: "api_key", label: .key("kek-v2"))
        after.add(1, table: "llm_providers", column: "api_key", label: .unreadable)
        let expected = """
              table          column   key           before  after
              ---------------------------------------------------
              llm_providers  api_key  kek-v1         1,234      0
              llm_providers  api_key  kek-v2             0  1,234
              llm_providers  api_key  (unreadable)       1      1
              all                                    1,235  1,235

            """
        #expect(CensusOutput.text(before: before, after: after) == expected)
    }

    @Test(arguments: [20, 40, 80, 200]) func theBarFitsTheTerminal(width: Int) {
        var progress = JobProgress()
        progress.recordsTotal = 1_000_000
        progress.recordsRewrapped = 250_000
        progress.enumerationDone = true
        var meter = ProgressMeter()
        let now = ContinuousClock.now
        _ = meter.read(progress, at: now)
        progress.recordsRewrapped = 500_000
        let bar = ProgressOutput.bar(meter.read(progress, at: now.advanced(by: .seconds(1))), width: width)
        #expect(bar.count < width)
        if width >= 80 { #expect(bar.contains("50.0 %")) }
    }

    @Test func idsOfSeveralColumnsAreInParentheses() {
        let failure = RecordFailure(table: "t", id: ["7", "a"], column: "c", keyID: nil, reason: "r")
        #expect(failure.place == "t.c (id=(7, a))")
    }
}
