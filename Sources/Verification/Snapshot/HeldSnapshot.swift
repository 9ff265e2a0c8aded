package import Catalog
package import Postgres

/// A snapshot whose tables are locked against every statement that would hide their rows.
package struct HeldSnapshot: Sendable {
    /// As `SET TRANSACTION SNAPSHOT` takes it.
    package let name: String
    package let tables: [EncryptedTable]
    /// Holds the locks, and sees the snapshot. Its transaction lasts as long as the reading.
    package let reader: PostgresConnection
    /// Sees the database as it is now.
    package let watcher: PostgresConnection
    /// How many sessions may hold the locks, the reader included, so that the server's lock table has room for others.
    package let mostSessions: Int
    let sessions = HeldSessions()
    /// Tables and their indexes: planning locks these as well.
    let relations: [UInt32]
    let locks: [String]
    let instant: ContinuousClock.Instant

    /// Somebody else has a relation locked.
    struct Locked: Error {
        let relations: [UInt32]
    }

    /// Takes the snapshot and its locks; the transaction is left open.
    static func take(
        _ session: PostgresSession, reader: PostgresConnection, watcher: PostgresConnection,
        _ resolve: (PostgresSession) throws -> [EncryptedTable]
    ) throws -> HeldSnapshot {
        let instant = ContinuousClock.now
        let name = try SharedSnapshot.export(session)
        let tables = try resolve(session)
        let members = tables.flatMap(\.identity.members)
        let relations = Set(members.map(\.oid)).sorted()
        let mostSessions = try LockBudget.sessions(holding: relations, session)
        let readable = try readable(relations, session)
        let locks = members.filter { readable.contains($0.oid) }.map(\.sqlName)
        let indexes = try indexes(of: relations, session)
        guard try lock(locks, session) else { throw Locked(relations: relations + indexes) }
        let held = HeldSnapshot(
            name: name, tables: tables, reader: reader, watcher: watcher, mostSessions: mostSessions,
            relations: relations + indexes, locks: locks, instant: instant)
        held.sessions.add(session)
        return held
    }

    /// Adopts the snapshot in another session, with the same locks.
    /// - Returns: false where one is not to be had at once: a statement of others is waiting for the reader's.
    func adopt(_ session: PostgresSession) throws -> Bool {
        try SharedSnapshot.follow(name, session)
        sessions.add(session)
        return try Self.lock(locks, session)
    }

    /// The lock of a reader on each relation, without reading any of it.
    /// - Returns: false where one is not to be had within a moment; the transaction has failed then.
    private static func lock(
        _ relations: [String], _ session: PostgresSession
    ) throws(PostgresError) -> Bool {
        var none = QueryParameters()
        for start in stride(from: 0, to: relations.count, by: 100) {
            for relation in relations[start..<min(start + 100, relations.count)] {
                try session.send("SELECT FROM ONLY \(relation) LIMIT 0", &none)
            }
            try session.submit()
            do throws(PostgresError) {
                _ = try session.collect()
            } catch {
                guard error.sqlState == .lockNotAvailable else { throw error }
                return false
            }
        }
        return true
    }

    private static func indexes(
        of relations: [UInt32], _ session: PostgresSession
    ) throws(PostgresError) -> [UInt32] {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        let result = try session.query(
            "SELECT indexrelid FROM pg_index WHERE indrelid = ANY($1)", parameters)
        return try (0..<result.rowCount).map { row throws(PostgresError) in try result.objectID(row, 0) }
    }

    /// A parent that stores nothing need not be readable: it stays unlocked, and a change shows in the last look.
    private static func readable(
        _ relations: [UInt32], _ session: PostgresSession
    ) throws(PostgresError) -> Set<UInt32> {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        let result = try session.query(
            """
            SELECT c.oid FROM pg_class AS c WHERE c.oid = ANY($1) AND (c.relkind <> 'p' \
            OR has_any_column_privilege(c.oid, 'SELECT') AND has_schema_privilege(c.relnamespace, 'USAGE'))
            """, parameters)
        return Set(try (0..<result.rowCount).map { row throws(PostgresError) in try result.objectID(row, 0) })
    }
}
