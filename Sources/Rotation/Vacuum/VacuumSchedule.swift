/// Which leaf is to be vacuumed next: the one in which the largest share has been rewritten since its last VACUUM.
package struct VacuumSchedule: Sendable {
    private let share: Double
    /// Rows by leaf, as far as the server's statistics know.
    private let rows: [UInt32: Double]
    private var doneAtLast: [UInt32: Int] = [:]
    /// Dead rows that are not worth a VACUUM.
    private static let fewest = 1_000

    /// - Parameter percent: of a leaf's rows.
    package init(percent: Double, rows: [UInt32: Double]) {
        share = percent / 100
        self.rows = rows
    }

    /// - Parameter done: rows rewritten so far, by leaf.
    package mutating func next(_ done: [UInt32: Int]) -> UInt32? {
        var best: (leaf: UInt32, share: Double)?
        for (leaf, rows) in rows {
            let count = done[leaf] ?? 0
            // A queue that lost its data counts anew.
            let last = min(doneAtLast[leaf] ?? 0, count)
            doneAtLast[leaf] = last
            let fresh = Double(count - last) / max(rows, 1)
            guard count - last >= Self.fewest, fresh >= share else { continue }
            if best.map({ fresh > $0.share }) ?? true { best = (leaf, fresh) }
        }
        guard let best else { return nil }
        doneAtLast[best.leaf] = done[best.leaf]
        return best.leaf
    }
}
