/// A counter as Redis holds it. Whoever may write there can write any number: one that a sum would overflow with is none.
package enum QueueCounter {
    /// What Lua counts exactly.
    static let range = 0...1 << 53

    /// The nearest number that may be counted with; 0 for what is no number.
    package static func bounded(_ text: String?) -> Int {
        bounded(text.flatMap { Int($0) } ?? 0)
    }

    static func bounded(_ number: Int) -> Int {
        min(max(range.lowerBound, number), range.upperBound)
    }
}
