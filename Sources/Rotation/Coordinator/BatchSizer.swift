/// How many rows a range should hold: from what ranges have cost so far, towards a steady duration.
///
/// Starts at 100 rows and at most doubles from one size to the next; an error that a shorter range might
/// avoid halves it. A thousand rows is where more gains nothing.
package struct BatchSizer: Sendable {
    /// Rows of the next range.
    package private(set) var rows: Int
    private let isFixed: Bool
    /// The size is what ranges cost makes it, no longer what growth allows.
    package private(set) var isSettled: Bool
    /// Moving averages over finished ranges.
    private var secondsPerRow: Double?
    private var bytesPerRow: Double?

    private let targetSeconds: Double
    private let largest: Int
    static let smallest = 10
    /// What a range's values may weigh in memory.
    static let targetBytes = 2_000_000.0
    private static let weight = 0.2

    /// - Parameters:
    ///   - fixed: the operator's batch size; nil adapts.
    ///   - targetSeconds: what a range should last; 0.25 at most, since its rows stay locked for about as long.
    ///   - largest: rows.
    package init(fixed: Int?, targetSeconds: Double = 0.1, largest: Int = 1_000) {
        isFixed = fixed != nil
        isSettled = fixed != nil
        self.targetSeconds = min(targetSeconds, 0.25)
        self.largest = largest
        rows = fixed ?? min(100, largest)
    }

    /// - Parameter wasSplit: the range failed in a way that a smaller one might not.
    package mutating func record(rows: Int, bytes: Int, seconds: Double, wasSplit: Bool = false) {
        guard !isFixed else { return }
        if wasSplit {
            self.rows = max(Self.smallest, self.rows / 2)
            return
        }
        guard rows > 0 else { return }
        secondsPerRow = Self.average(secondsPerRow, seconds / Double(rows))
        bytesPerRow = Self.average(bytesPerRow, Double(bytes) / Double(rows))
        let byTime = targetSeconds / max(secondsPerRow ?? 0, 1e-7)
        let byMemory = Self.targetBytes / max(bytesPerRow ?? 0, 1)
        let wanted = min(byTime, byMemory, Double(largest))
        let grown = Double(self.rows) * 2
        if wanted <= grown { isSettled = true }
        self.rows = max(Self.smallest, Int(min(wanted, grown)))
    }

    private static func average(_ old: Double?, _ new: Double) -> Double {
        guard let old else { return new }
        return old + weight * (new - old)
    }
}
