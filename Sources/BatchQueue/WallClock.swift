import Glibc

/// Wall time, for what people and other processes read.
package enum WallClock {
    /// Milliseconds since the epoch.
    package static var milliseconds: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }
}
