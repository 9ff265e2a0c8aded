package import Catalog
package import Postgres

/// Reads the catalog's tables as one snapshot shows them, and makes sure that the snapshot shows all there is.
///
/// A table that was rewritten after a snapshot was taken is empty to it. A name that was changed leads elsewhere. So a
/// reading goes like this, and from the beginning again where something has moved:
///
/// 1. Take the snapshot; in it, look the catalog's names up.
/// 2. Lock every relation as a reader does, parents too. No lock is waited for longer than a moment: whoever waits for
///    an application's ALTER with other tables locked makes the application wait.
/// 3. Look the names up once more, outside of the snapshot. From here on nobody rewrites, renames or empties a relation.
///    Only if nothing differs, file nodes and constraints included, does the snapshot show all rows.
/// 4. Read. If a statement of others begins to wait for our locks, give way: everything behind it waits as well.
/// 5. Look outside again: a table may have been attached, which takes no lock that ours would stop. A transaction that
///    may be about to attach one is waited for.
package struct SnapshotHold: Sendable {
    private let settings: ConnectionSettings
    private let lockPatience: Duration
    private let definitionPatience: Duration
    private let waiting: @Sendable (String) -> Void
    private let resolve: @Sendable (PostgresSession) throws -> [EncryptedTable]

    /// How often a reading begins again because something moved.
    private static let attempts = 30

    /// - Parameters:
    ///   - lockPatience: how long tables that others have locked are waited for.
    ///   - definitionPatience: how long transactions are waited for that may attach a table.
    ///   - waiting: is told why a reading waits or begins again.
    ///   - resolve: the tables, with the identities that they have in the session's snapshot.
    package init(
        _ settings: ConnectionSettings, lockPatience: Duration, definitionPatience: Duration,
        waiting: @escaping @Sendable (String) -> Void,
        resolve: @escaping @Sendable (PostgresSession) throws -> [EncryptedTable]
    ) {
        self.settings = settings
        self.lockPatience = lockPatience
        self.definitionPatience = definitionPatience
        self.waiting = waiting
        self.resolve = resolve
    }

    /// What a reading found.
    package struct Reading<Finding: Sendable>: Sendable {
        package let finding: Finding
        /// Transactions that may still attach a table, each a sentence. The rows of that table were not read.
        package let pending: [String]
    }

    /// - Parameter body: may run several times; what it returns last counts.
    /// - Throws: `SnapshotHoldError` where the tables cannot be held still; what `resolve` and `body` throw.
    package func read<Finding: Sendable>(
        _ body: @escaping @Sendable (HeldSnapshot) async throws -> Finding
    ) async throws -> Reading<Finding> {
        let watcher = PostgresConnection(settings)
        for _ in 1...Self.attempts {
            let held = try await lock(watcher)
            let attempt: Attempt<Finding>?
            do {
                attempt = try await LockQueueWatch(held, settings).guarding {
                    try await Self.read(held, body)
                }
            } catch {
                await held.reader.close()
                throw error
            }
            await held.reader.close()
            switch attempt {
            case nil:
                waiting("Giving way to a statement that waits for our locks, and reading again")
            case .changed(let change):
                waiting("The tables changed while they were read (\(change)); reading again")
            case .read(let finding):
                if let pending = try await pendingDefinitions(of: held.tables, watcher) {
                    await watcher.close()
                    return Reading(finding: finding, pending: pending)
                }
            }
            // The statement that was let through, or changes the tables, is given a moment.
            try await Task.sleep(for: .milliseconds(Int.random(in: 50...150)))
        }
        throw SnapshotHoldError.restless
    }

    private enum Attempt<Finding: Sendable>: Sendable {
        case read(Finding)
        /// The tables were not the same before, or afterwards; what was read is worth nothing.
        case changed(String)
    }

    /// Reads between two looks outside of the snapshot.
    private static func read<Finding: Sendable>(
        _ held: HeldSnapshot, _ body: @Sendable (HeldSnapshot) async throws -> Finding
    ) async throws -> Attempt<Finding> {
        if let change = try await held.watcher.perform({ try Self.change(held.tables, $0) }) {
            return .changed(change)
        }
        let finding = try await body(held)
        if let change = try await held.watcher.perform({ try Self.change(held.tables, $0) }) {
            return .changed(change)
        }
        return .read(finding)
    }

    /// Takes the snapshot, and then the locks as soon as all of them are to be had at once.
    private func lock(_ watcher: PostgresConnection) async throws -> HeldSnapshot {
        let deadline = ContinuousClock.now + lockPatience
        var told = ""
        while true {
            let reader = PostgresConnection(settings)
            do {
                let resolve = resolve
                return try await reader.perform { session in
                    try HeldSnapshot.take(session, reader: reader, watcher: watcher, resolve)
                }
            } catch let locked as HeldSnapshot.Locked {
                await reader.close()
                let relations = locked.relations
                let who = try await watcher.perform { try LockQueueWatch.holders(of: relations, $0) }
                if ContinuousClock.now > deadline { throw SnapshotHoldError.locked(who) }
                if who != told { waiting("Waiting for tables that others have locked: \(who)") }
                told = who
            } catch {
                await reader.close()
                throw error
            }
            try await Task.sleep(for: .milliseconds(Int.random(in: 100...300)))
        }
    }

    private static func change(_ tables: [EncryptedTable], _ session: PostgresSession) throws -> String? {
        for table in tables {
            if let change = table.identity.change(to: try table.identity.readAgain(session)) {
                return "\(table.name): \(change)"
            }
        }
        return nil
    }

    // MARK: Ending

    /// - Returns: what is still pending when the patience is over; nil where something was attached meanwhile.
    private func pendingDefinitions(
        of tables: [EncryptedTable], _ watcher: PostgresConnection
    ) async throws -> [String]? {
        let deadline = ContinuousClock.now + definitionPatience
        var pending = try await watcher.perform { try PendingDefinitions.read(tables, $0) }
        if pending.isEmpty { return [] }
        waiting(
            "Waiting for transactions that may attach a table, or take its name: \(pending.joined(separator: ", "))"
        )
        while !pending.isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(200))
            pending = try await watcher.perform { try PendingDefinitions.read(tables, $0) }
        }
        let moved = try await watcher.perform { session in
            try tables.contains { table in
                table.identity.objects != (try table.identity.readAgain(session))?.objects
            }
        }
        if moved { waiting("A table was attached while the others were read; reading again") }
        return moved ? nil : pending
    }
}

/// Why the catalog's tables could not be read in one piece.
package enum SnapshotHoldError: Error, Sendable, CustomStringConvertible {
    case locked(String)
    case restless
    /// A transaction may still attach a table.
    case pending(String)
    /// A name of the catalog leads elsewhere than when the job began.
    case moved(String)
    case tooManyLocks(needed: Int, free: Int)

    package var description: String {
        switch self {
        case .locked(let who):
            "tables of the catalog are locked by others (\(who)); try again when they have finished"
        case .restless:
            "the tables were changed, or statements waited for our locks, each time they were read; try again when that is over"
        case .pending(let who):
            "\(who) may attach a table that was not looked at; end it, or wait for its end, and try again"
        case .moved(let change):
            "the tables are not those that the job began with (\(change)); run again to take them as they are now"
        case .tooManyLocks(let needed, let free):
            "to read all tables in one snapshot takes \(needed) locks, and the server's lock table has room for \(free) that may be used; raise max_locks_per_transaction, or look at one table at a time with --table"
        }
    }
}
