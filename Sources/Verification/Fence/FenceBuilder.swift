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

    /// Ids to refuse that no key, no fence and no value has: most likely misspelt, and the key that was meant would
    /// stay open.
    package struct Unknown: Error, Sendable {
        package let keyIDs: [String]
    }

    /// What stood at the end was not what was to stand: each is a sentence for people.
    package struct Unsettled: Error, Sendable {
        package let reasons: [String]
    }

    private let entries: [CatalogEntry]
    private let target: String
    private let retired: [String]
    private let unknown: [String]
    private let lock: FenceLock
    private let connection: PostgresConnection
    private let watcher: PostgresConnection
    private let settings: ConnectionSettings
    private let definitionPatience: Duration
    private let waiting: @Sendable (String) -> Void

    /// - Parameters:
    ///   - entries: the catalog. What it leads to is looked up again after each step: a partition may be attached
    ///     meanwhile.
    ///   - selection: nil to drop.
    ///   - acceptsUnknownIDs: ids that nothing knows are refused like others.
    ///   - settings: `answerTimeout` has to leave a validation its time.
    package init(
        _ entries: [CatalogEntry], _ selection: FenceSelection?, acceptsUnknownIDs: Bool = false,
        lock: FenceLock, connecting settings: ConnectionSettings,
        definitionPatience: Duration = SnapshotHold.usualDefinitionPatience,
        waiting: @escaping @Sendable (String) -> Void
    ) {
        self.settings = settings
        self.definitionPatience = definitionPatience
        self.waiting = waiting
        self.entries = entries
        target = selection?.target ?? ""
        retired = selection?.refused ?? []
        unknown = acceptsUnknownIDs ? [] : selection?.unknown ?? []
        self.lock = lock
        connection = PostgresConnection(settings)
        watcher = PostgresConnection(settings)
    }

    /// - Throws: `Remaining` where old or failed records are in the way, `Unknown`, `Unsettled`.
    package func add(_ report: (Event) -> Void) async throws {
        let tables = try await resolve()
        try await requireNoOldRecords(tables, takenBack: false)
        if !unknown.isEmpty { throw Unknown(keyIDs: unknown) }
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
            let fenced = try await resolve()
            try await requireNoOldRecords(fenced, takenBack: !added.isEmpty)
            for table in fenced { try await validate(table, report) }
        } catch {
            // Half a fence would refuse the application's updates of the very rows that are to be rotated.
            for statements in added { await takeBack(statements, report) }
            throw error
        }
        for table in try await resolve() {
            let statements = try await statements(table)
            let names = Set(statements.superseded.map(\.name)).sorted()
            if names.isEmpty { continue }
            try await run(statements.dropSuperseded, table, report)
            report(.superseded(table: table.name, constraints: names))
        }
        try await requireStanding(on: tables)
    }

    /// The form that refuses nobody; old records may be there.
    package func addLogOnly(_ report: (Event) -> Void) async throws {
        for table in try await resolve() {
            try await run(try await statements(table).addLogOnly, table, report)
            report(.added(table: table.name, columns: table.columns.map(\.name)))
        }
    }

    /// - Returns: how many statements that took, by table.
    package func drop(_ report: (Event) -> Void) async throws -> [(table: String, dropped: Int)] {
        var dropped: [(table: String, dropped: Int)] = []
        for table in try await resolve() {
            let inspection = try await connection.perform { try FenceInspection(table, session: $0) }
            let statements = FenceStatements.drop(inspection)
            if !statements.isEmpty { try await run(statements, table, report) }
            dropped.append((table.name, statements.count))
        }
        return dropped
    }

    // MARK: Steps

    /// What the catalog leads to now.
    private func resolve() async throws -> [EncryptedTable] {
        let entries = entries
        let found = try await connection.perform { try Introspection.resolve(entries, session: $0) }
        let refusals = found.problems.filter { $0.severity == .refuse }
        guard refusals.isEmpty else { throw Unsettled(reasons: refusals.map(\.description)) }
        return found.tables
    }

    /// The exit code comes from what stands now, not from what was done.
    private func requireStanding(on first: [EncryptedTable]) async throws {
        let tables = try await resolve()
        var reasons: [String] = []
        for (before, now) in zip(first, tables) where before.oid != now.oid {
            reasons.append("\(now.name) is another table than at the start")
        }
        let retired = retired
        reasons += try await connection.perform { session in
            try tables.flatMap { try FenceInspection($0, session: session).gaps(in: retired) }
        }
        if !reasons.isEmpty { throw Unsettled(reasons: reasons) }
    }

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
            try await requireNoOldRecords(try await resolve(), takenBack: true)
            throw error
        }
        report(.validated(table: table.name, seconds: (ContinuousClock.now - start) / .seconds(1)))
    }

    /// Whatever carries a retired id, or is no envelope, so that nobody can say what it is under.
    private func requireNoOldRecords(_ tables: [EncryptedTable], takenBack: Bool) async throws {
        let hold = SnapshotHold(
            of: tables, settings, definitionPatience: definitionPatience, waiting: waiting)
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
