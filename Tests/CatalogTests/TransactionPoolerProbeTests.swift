import Foundation
import Postgres
import Testing

@testable import Catalog

@Suite(.enabled(if: TestDatabase.isAvailable, "\(TestDatabase.skipMessage)"))
struct TransactionPoolerProbeTests {
    @Test func aDirectConnectionPasses() async throws {
        try await TestDatabase.withSchema { _ in
            let problem = try TransactionPoolerProbe.run(connecting: TestDatabase.settings())
            #expect(problem == nil)
        }
    }

    private static let pooledBy = Comment(
        rawValue: "PgBouncer is missing: none at \(PgBouncer.executable) (apt-get install pgbouncer)")

    @Test(
        .enabled(if: PgBouncer.isInstalled, pooledBy),
        arguments: [
            PgBouncer.Mode(pool: "transaction", size: 1, roundRobin: false, refused: true),
            PgBouncer.Mode(pool: "transaction", size: 10, roundRobin: false, refused: true),
            PgBouncer.Mode(pool: "transaction", size: 10, roundRobin: true, refused: true),
            PgBouncer.Mode(pool: "statement", size: 10, roundRobin: false, refused: true),
            PgBouncer.Mode(pool: "session", size: 10, roundRobin: false, refused: false),
        ])
    func aTransactionPoolerIsFound(mode: PgBouncer.Mode) async throws {
        let pooler = try await PgBouncer(mode)
        defer { pooler.stop() }
        let settings = try ConnectionSettings(url: pooler.url, applicationName: "probe")
        try await PostgresConnection(try TestDatabase.settings()).perform { _ in
            // Several server connections first, so that the pool has some to choose from.
            let warm = try (0..<min(mode.size, 3)).map { _ in try PostgresSession(connecting: settings) }
            if mode.pool == "transaction", mode.size > 3 {
                for session in warm { try session.query("BEGIN") }
                for session in warm { try session.query("COMMIT") }
            }
            let problem = try TransactionPoolerProbe.run(connecting: settings)
            #expect((problem?.severity == .refuse) == mode.refused)
            if mode.refused {
                #expect(problem?.message.hasPrefix("a transaction pooler stands between") == true)
                #expect(problem?.mend.contains("pool_mode = session") == true)
            }
        }
    }

    @Test(.enabled(if: PgBouncer.isInstalled, pooledBy))
    func aSessionPoolOfOneIsTooSmall() async throws {
        let pooler = try await PgBouncer(.init(pool: "session", size: 1, roundRobin: false, refused: true))
        defer { pooler.stop() }
        var settings = try ConnectionSettings(url: pooler.url, applicationName: "probe")
        settings.answerTimeout = .seconds(1)
        let impatient = settings
        try await PostgresConnection(try TestDatabase.settings()).perform { _ in
            let problem = try TransactionPoolerProbe.run(connecting: impatient)
            #expect(problem?.message == "a second session gets no answer while a first one is open")
        }
    }

    @Test(.enabled(if: PgBouncer.isInstalled, pooledBy))
    func aSessionPoolIsComparedWithWhatTheCommandNeeds() async throws {
        let pooler = try await PgBouncer(.init(pool: "session", size: 3, roundRobin: false, refused: true))
        defer { pooler.stop() }
        var settings = try ConnectionSettings(url: pooler.url, applicationName: "probe")
        settings.connectTimeout = .seconds(1)
        let impatient = settings
        try await PostgresConnection(try TestDatabase.settings()).perform { _ in
            #expect(try TransactionPoolerProbe.run(connecting: impatient, sessions: 3) == nil)
            let problem = try TransactionPoolerProbe.run(connecting: impatient, sessions: 5)
            #expect(problem?.severity == .refuse)
            #expect(problem?.message == "the pool gives 3 sessions at once, and this command needs 5")
        }
    }
}

/// A PgBouncer before the test server, on a unix socket of its own folder.
final class PgBouncer: Sendable {
    struct Mode: Sendable, CustomTestStringConvertible {
        let pool: String
        let size: Int
        let roundRobin: Bool
        let refused: Bool

        var testDescription: String { "\(pool) mode, pool of \(size)\(roundRobin ? ", round robin" : "")" }
    }

    static let executable = "/usr/sbin/pgbouncer"
    static let isInstalled = FileManager.default.isExecutableFile(atPath: executable)

    private let folder: URL
    private let pid: pid_t
    let url: String

    init(_ mode: Mode) async throws {
        let target = try await PostgresConnection(try TestDatabase.settings()).perform { session in
            let result = try session.query(
                """
                SELECT COALESCE(host(inet_server_addr()),
                        split_part(current_setting('unix_socket_directories'), ',', 1)),
                    current_setting('port'), current_database(), current_user::text
                """)
            return try (0..<4).map { try result.text(0, $0) }
        }
        folder = FileManager.default.temporaryDirectory.appending(path: "pgb-\(TestDatabase.randomName())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        // PgBouncer refuses to run as root.
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.path())
        let password =
            URLComponents(string: TestDatabase.url ?? "")?.password.map { "password='\($0)'" } ?? ""
        let configuration = """
            [databases]
            * = host=\(target[0]) port=\(target[1]) dbname=\(target[2]) user=\(target[3]) \(password)
            [pgbouncer]
            listen_port = 6543
            unix_socket_dir = \(folder.path())
            unix_socket_mode = 0777
            auth_type = any
            pool_mode = \(mode.pool)
            default_pool_size = \(mode.size)
            server_round_robin = \(mode.roundRobin ? 1 : 0)
            """
        let file = folder.appending(path: "pgbouncer.ini")
        let created = FileManager.default.createFile(
            atPath: file.path(), contents: Data(configuration.utf8), attributes: [.posixPermissions: 0o600])
        try #require(created)
        let process = Process()
        process.executableURL = URL(filePath: Self.executable)
        process.arguments = (getuid() == 0 ? ["-u", "nobody"] : []) + ["-q", file.path()]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        pid = process.processIdentifier
        url = "postgresql://any@/any?host=\(folder.path())&port=6543"
        let socket = folder.appending(path: ".s.PGSQL.6543").path()
        for _ in 0..<500 where !FileManager.default.fileExists(atPath: socket) {
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    func stop() {
        // It inherits the blocked signals of the thread that started it.
        kill(pid, SIGKILL)
        do {
            try FileManager.default.removeItem(at: folder)
        } catch {
            print("\(folder.path()) stays behind: \(error)")
        }
    }
}
