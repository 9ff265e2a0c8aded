import Postgres

/// What a snapshot sees of transactions, in PostgreSQL's own text form (`xmin:xmax:xip`).
///
/// A row version that a later snapshot sees, and this one does not, was written by a transaction that this one took to be running or
/// not begun: one with an id of at least `xmin`.
struct TransactionHorizon: Sendable, Hashable {
    let text: String
    /// The lowest id that was still running, without its epoch, as a row's `xmin` has it.
    let lowestRunning: UInt32

    init(_ text: String) throws(PostgresError) {
        guard let xmin = text.split(separator: ":").first.flatMap({ UInt64($0) }) else {
            throw PostgresError(.unexpectedAnswer, "the server described its snapshot in an unknown form")
        }
        self.text = text
        lowestRunning = UInt32(truncatingIfNeeded: xmin)
    }

    static func now(_ session: PostgresSession) throws(PostgresError) -> TransactionHorizon {
        try TransactionHorizon(try session.query("SELECT pg_current_snapshot()::text").text(0, 0))
    }
}
