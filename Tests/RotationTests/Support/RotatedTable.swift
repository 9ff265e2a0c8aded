import BatchQueue
import Catalog
import Envelope
import Logging
import Postgres
import Rotation
import TestSupport

/// A table of old values with the plan of a job on it, whose lock is held.
struct RotatedTable: Sendable {
    let name: String
    let plan: JobPlan
    let settings: ConnectionSettings
    let connection: PostgresConnection
    private let leaf: UInt32

    /// Runs `body` with a table of rows 1 to `rows`.
    static func with(rows: Int, _ body: (RotatedTable) async throws -> Void) async throws {
        let old = try KeyEncryptionKey.generate(id: KeyID("kek-v1"))
        let ring = try Keyring(primary: try .generate(id: KeyID("kek-v2")), previous: [old])
        try await SealedTable.with(rows: rows, under: old) { sealed in
            let lock = AdvisoryLock.newJob()
            let tables = try await sealed.connection.perform { session in
                _ = try lock.tryAcquire(session)
                return try Introspection.resolve([sealed.entry], session: session).tables
            }
            try await body(
                RotatedTable(
                    name: sealed.name,
                    plan: JobPlan(keyring: ring, mode: .rewrap, tables: tables, jobLock: lock),
                    settings: sealed.settings, connection: sealed.connection, leaf: tables[0].leaves[0].oid))
        }
    }

    /// Rows `first` to `last` as the batch of this number.
    func lease(_ sequence: UInt64, _ first: String, _ last: String, rows: Int, crashes: Int = 0) -> Lease {
        let range = BatchRange(
            table: name, leaf: leaf, first: [first], last: [last], records: rows, rows: rows)
        return Lease(sequence: sequence, generation: 1, range: range, deliveries: 1, crashes: crashes)
    }

    /// Batches of `size` rows from the first row on.
    func leases(_ count: Int, of size: Int, crashes: Int = 0) -> [Lease] {
        (0..<count).map { number in
            lease(
                UInt64(number + 1), "\(number * size + 1)", "\((number + 1) * size)", rows: size,
                crashes: crashes)
        }
    }

    func work(
        on queue: ScriptedQueue, lanes: Int = 1, metrics: WorkerMetrics = .none
    ) async throws {
        let worker = Worker(
            plan, queue: queue, settings: settings, lanes: lanes, logger: Logger(label: "RotationTests"),
            metrics: metrics)
        let result: Result<Void, any Error>
        do { result = .success(try await worker.run()) } catch { result = .failure(error) }
        await worker.close()
        try result.get()
    }

    func currentRows() async throws -> Int {
        let name = name
        return try await connection.perform { session in
            try session.query("SELECT count(*) FROM \(name) WHERE secret LIKE '%\"kek-v2\"%'").integer(0, 0)
                ?? -1
        }
    }
}
