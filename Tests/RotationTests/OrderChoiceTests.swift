import BatchQueue
import Catalog
import Rotation
import Testing

@Suite struct OrderChoiceTests {
    static func layout(
        bytes: Int = 1 << 30, isHeap: Bool = true, correlation: Double? = 0.003
    ) -> LeafLayout {
        LeafLayout(
            blocks: bytes / 8_192, bytes: bytes, sharedBuffers: 128 << 20, isHeap: isHeap, column: "id",
            correlation: correlation)
    }

    @Test func randomAndLargerThanTheBuffersGoesByPlace() {
        let choice = OrderChoice(.auto, Self.layout())
        #expect(choice.kind == .blocks && choice.isWhatWasAskedFor)
        #expect(choice.reason.contains("correlation 0.0") && choice.reason.contains("1024 MiB"))
    }

    @Test(arguments: [1.0, 0.99, -1.0]) func keysInOrderGoByKey(correlation: Double) {
        #expect(OrderChoice(.auto, Self.layout(correlation: correlation)).kind == .ids)
    }

    @Test func whatFitsIntoTheBuffersGoesByKey() {
        let choice = OrderChoice(.auto, Self.layout(bytes: 1 << 20))
        #expect(choice.kind == .ids && choice.reason.contains("shared_buffers"))
    }

    @Test func withoutStatisticsGoesByKeyAndSaysSo() {
        let choice = OrderChoice(.auto, Self.layout(correlation: nil))
        #expect(choice.kind == .ids && choice.reason.contains("ANALYZE"))
    }

    @Test func theOperatorDecides() {
        #expect(OrderChoice(.physical, Self.layout(bytes: 0, correlation: 1)).kind == .blocks)
        #expect(OrderChoice(.key, Self.layout()).kind == .ids)
    }

    @Test func whatIsNoHeapHasNoPlacesToGoBy() {
        #expect(OrderChoice(.auto, Self.layout(isHeap: false)).isWhatWasAskedFor)
        let refused = OrderChoice(.physical, Self.layout(isHeap: false))
        #expect(refused.kind == .ids && !refused.isWhatWasAskedFor)
    }
}
