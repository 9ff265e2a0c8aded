import BatchQueue
import Catalog
import Envelope
import Foundation
import Logging
import Postgres
import Rotation

/// A table of old values with the plan of a job on it, whose lock is held.
struct RotatedTable: Sendable {
    static let url = ProcessInfo.processInfo.environment["REENCRYPT_TEST_DATABASE_URL"]
    static let skipMessage = "PostgreSQL is missing: REENCRYPT_TEST_DATABASE_URL names no server"

    let name: String
    let plan: JobPlan
    let settings: ConnectionSettings
    let connection: PostgresConnection
    private let leaf: UInt32

    /// Runs `body` with a table of rows 1 to `rows`.
    static func with(rows: Int, _ body: (RotatedTable) async throws -> Void) async throws {
        let settings = try ConnectionSettings(url: url, applicationName: "reencrypt-secrets RotationTests")
        let name = "rotated_" + String((0..<12).map { _ in "abcdefghij".randomElement() ?? "a" })
        let old = try KeyEncryptionKey.generate(id: KeyID("kek-v1"))
        let ring = try Keyring(primary: try .generate(id: KeyID("kek-v2")), previous: [old])
        let values = try (0..<rows).map {
            String(decoding: try Keyring(primary: old).seal("secret \($0)".utf8), as: UTF8.self)
        }
        let connection = PostgresConnection(settings)
        let lock = AdvisoryLock.newJob()
        let entry = CatalogEntry(
            name: name, tableName: try TableName(parsing: name), idColumns: nil, encryptedColumns: ["secret"])
        let tables = try await connection.perform { session in
            try session.query("SET search_path = public")
            try session.query("CREATE TABLE \(name) (id bigint PRIMARY KEY, secret text)")
            var parameters = QueryParameters()
            parameters.append(texts: values)
            try session.query(
                "INSERT INTO \(name) SELECT n, v FROM unnest($1) WITH ORDINALITY AS u(v, n)", parameters)
            _ = try lock.tryAcquire(session)
            return try Introspection.resolve([entry], session: session).tables
        }
        let table = RotatedTable(
            name: name, plan: JobPlan(keyring: ring, mode: .rewrap, tables: tables, jobLock: lock),
            settings: settings, connection: connection, leaf: tables[0].leaves[0].oid)
        let result: Result<Void, any Error>
        do { result = .success(try await body(table)) } catch { result = .failure(error) }
        try await connection.perform { session in _ = try session.query("DROP TABLE \(name)") }
        await connection.close()
        try result.get()
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
