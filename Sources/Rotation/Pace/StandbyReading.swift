/// A standby as the primary sees it.
package struct StandbyReading: Sendable, Hashable {
    /// Its application name.
    package var name: String
    /// Tells two of the same name apart: the process that serves it.
    package var pid: Int
    /// WAL position up to which it has replayed, in bytes.
    package var replayed: Double
    /// What the server says, in seconds. It is absent where nothing was written lately and stands still where
    /// the standby reports nothing: never the only source.
    package var reportedLag: Double?

    package init(name: String, pid: Int, replayed: Double, reportedLag: Double? = nil) {
        self.name = name
        self.pid = pid
        self.replayed = replayed
        self.reportedLag = reportedLag
    }
}
