package import Catalog
package import Postgres

/// Adds fences in the order that makes them evidence: census, constraint, census again, validation.
///
/// The constraint's lock waits for every transaction that holds an uncommitted old value, prepared ones
/// included, and each later write is checked; so the second census sees all there is. The validation is the
/// server's own proof of the same, by other code.
package struct FenceBuilder: Sendable {
    package enum Event: Sendable {
        case waiting(table: String, attempt: Int, blockers: [String])
        case added(table: String, columns: [String])
        case validated(table: String, seconds: Double)
        case superseded(table: String, constraints: [String])
        case unchanged(table: String)
        /// The constraint stands, not validated: it refuses old values, and updates of old rows.
        case notTakenBack(table: String)
    }

    /// Records that a fence would make untouchable: an UPDATE of any column of such a row would be refused.
    package struct Remaining: Error, Sendable {
        package let groups: [(group: Census.Group, records: Int)]
        /// What was added before they came to light has been taken back.
        package let isTakenBack: Bool
    }

    private let tables: [EncryptedTable]
    private let target: String
    private let retired: [String]
    private let lock: FenceLock
    private let connection: PostgresConnection
    private let watcher: PostgresConnection
    private let settings: ConnectionSettings
    private let waiting: @Sendable (String) -> Void

    /// - Parameter settings: `answerTimeout` has to leave a validation its time.
    package init(
        _ tables: [EncryptedTable], target: String, retired: [String], lock: FenceLock,
        connecting settings: ConnectionSettings, waiting: @escaping @Sendable (String) -> Void
    ) {
        self.settings = settings
        self.waiting = waiting
        self.tables = tables
        self.target = target
        self.retired = retired
        self.lock = lock
        connection = PostgresConnection(settings)
        watcher = PostgresConnection(settings)
    }

    /// - Throws: `Remaining` where old or failed records are in the way.
    package func add(_ report: (Event) -> Void) async throws {
        try await requireNoOldRecords(takenBack: false)
        var added: [FenceStatements] = []
        do {
            for table in tables {
                let statements = try await statements(table)
                let columns = statements.missing.map(\.name)
                if !statements.add.isEmpty { try await run(statements.add, table, report) }
                if columns.isEmpty {
                    report(.unchanged(table: table.name))
                } else {
                    added.append(statements)
                    report(.added(table: table.name, columns: columns))
                }
            }
            try await requireNoOldRecords(takenBack: !added.isEmpty)
            for table in tables { try await validate(table, report) }
        } catch {
            // Half a fence would refuse the application's updates of the very rows that are to be rotated.
            for statements in added { await takeBack(statements, report) }
            throw error
        }
        for table in tables {
            let statements = try await statements(table)
            let names = statements.superseded.map(\.name)
            if names.isEmpty { continue }
            try await run(statements.dropSuperseded, table, report)
            report(.superseded(table: table.name, constraints: names))
        }
    }

    /// The form that refuses nobody; old records may be there.
    package func addLogOnly(_ report: (Event) -> Void) async throws {
        for table in tables {
            try await run(try await statements(table).addLogOnly, table, report)
            report(.added(table: table.name, columns: table.columns.map(\.name)))
        }
    }

    /// - Returns: how many statements that took, by table.
    package func drop(_ report: (Event) -> Void) async throws -> [(table: String, dropped: Int)] {
        var dropped: [(table: String, dropped: Int)] = []
        for table in tables {
            let inspection = try await connection.perform { try FenceInspection(table, session: $0) }
            let statements = FenceStatements.drop(inspection)
            if !statements.isEmpty { try await run(statements, table, report) }
            dropped.append((table.name, statements.count))
        }
        return dropped
    }

    // MARK: Steps

    private func statements(_ table: EncryptedTable) async throws -> FenceStatements {
        try await connection.perform { session in
            FenceStatements(try FenceInspection(table, session: session), target: target, retired: retired)
        }
    }

    private func run(_ statements: [String], _ table: EncryptedTable, _ report: (Event) -> Void) async throws
    {
        try await lock.run(
            statements, ofSeveralRelations: table.isTree, connection, watcher: watcher
        ) { attempt, blockers in
            report(.waiting(table: table.name, attempt: attempt, blockers: blockers))
        }
    }

    /// The error that led here is the one to be thrown; this one is reported.
    private func takeBack(_ statements: FenceStatements, _ report: (Event) -> Void) async {
        do {
            try await run(statements.undo, statements.table, report)
        } catch {
            report(.notTakenBack(table: statements.table.name))
        }
    }

    private func validate(_ table: EncryptedTable, _ report: (Event) -> Void) async throws {
        let statements = try await statements(table).validate
        if statements.isEmpty { return }
        let start = ContinuousClock.now
        do {
            try await connection.perform { session in
                // A default of the role or the database would end a long one.
                try session.query(
                    "SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false)"
                )
                for statement in statements { try session.query(statement) }
            }
        } catch let error as PostgresError where error.sqlState == .checkViolation {
            try await requireNoOldRecords(takenBack: true)
            throw error
        }
        report(.validated(table: table.name, seconds: (ContinuousClock.now - start) / .seconds(1)))
    }

    /// Whatever carries a retired id, or is no envelope, so that nobody can say what it is under.
    private func requireNoOldRecords(takenBack: Bool) async throws {
        let hold = SnapshotHold(of: tables, settings, waiting: waiting)
        let census = try await hold.census(keyIDs: [target] + retired)
        let remaining = census.finding.sortedGroups().filter { entry in
            entry.records > 0 && entry.group.label.keyID.map(retired.contains) ?? true
        }
        if let pending = census.pending.first { throw SnapshotHoldError.pending(pending) }
        if !remaining.isEmpty { throw Remaining(groups: remaining, isTakenBack: takenBack) }
    }
}

extension EncryptedTable {
    /// More than one relation is locked.
    package var isTree: Bool { leaves.map(\.oid) != [oid] }
}

extension SQLState {
    fileprivate static let checkViolation = SQLState("23514")
}
