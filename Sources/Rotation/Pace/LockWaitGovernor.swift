/// Slows the job down while statements of applications wait for locks of ours.
package struct LockWaitGovernor: Sendable {
    /// Records a second; nil: no limit.
    package private(set) var rate: Double?
    package private(set) var reason = ""
    private static let slowest = 20.0

    package init() {}

    /// - Parameter table: where an application waits for us; nil where none does.
    package mutating func observe(waitOn table: String?, recordsPerSecond: Double) {
        if let table {
            rate = max(Self.slowest, min(rate ?? .infinity, recordsPerSecond) * 0.7)
            reason = "lock waits of applications on table \(table)"
        } else if let slowed = rate {
            rate = slowed * 1.1
            if slowed > 1.5 * recordsPerSecond + Self.slowest {
                rate = nil
                reason = ""
            }
        }
    }
}
