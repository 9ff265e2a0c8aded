/// Delays with full jitter: drawn evenly between nothing and a bound that grows.
package enum Backoff {
    /// Before a batch is handed out again that hit an error: the bound doubles from 50 ms to 2 s, so that
    /// work goes on within 5 s once a server is back.
    package static func afterError(deliveries: Int) -> Duration {
        let bound = min(2_000, 50 << min(max(deliveries - 1, 0), 10))
        return .milliseconds(Int.random(in: 0...bound))
    }

    /// Before a range is tried again that others hold locks in: the bound grows with the time it has been
    /// blocked, from 100 ms to 2 s.
    /// - Parameter since: ms since the epoch.
    package static func whileBlocked(since: Int64?) -> Duration {
        let elapsed = since.map { max(0, WallClock.milliseconds - $0) } ?? 0
        return .milliseconds(Int64.random(in: 20...min(2_000, 100 + elapsed / 4)))
    }
}
