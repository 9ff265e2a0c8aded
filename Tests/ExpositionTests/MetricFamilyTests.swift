import Exposition
import Testing

struct MetricFamilyTests {
    @Test func seriesWithLabels() {
        var family = MetricFamily("reencrypt_batches", .gauge, "Batches.")
        family.add(3, ["table": "a", "state": "pending"])
        family.add(0.25)
        #expect(
            family.text == """
                # HELP reencrypt_batches Batches.
                # TYPE reencrypt_batches gauge
                reencrypt_batches{table="a",state="pending"} 3
                reencrypt_batches 0.25

                """)
    }

    @Test func unknownIsAbsent() {
        var family = MetricFamily("reencrypt_eta_seconds", .gauge, "Time left.")
        family.add(nil)
        #expect(family.text.isEmpty)
    }

    @Test func labelsAreEscaped() {
        var family = MetricFamily("m", .counter, "h")
        family.add(1, ["table": "odd \"schema\"\\a\nb"])
        #expect(family.text.contains(#"table="odd \"schema\"\\a\nb""#))
    }

    @Test(arguments: [
        (Double.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (1e20, "1e+20"), (12, "12"),
    ])
    func values(_ value: Double, _ text: String) {
        var family = MetricFamily("m", .gauge, "h")
        family.add(value)
        #expect(family.text.hasSuffix("m \(text)\n"))
    }
}
