import Foundation
import Postgres
import TestSupport
import Testing

/// A PgBouncer before the test server, on a unix socket of its own folder.
final class PgBouncer: Sendable {
    struct Mode: Sendable, CustomTestStringConvertible {
        let pool: String
        let size: Int
        let roundRobin: Bool
        let refused: Bool

        var testDescription: String { "\(pool) mode, pool of \(size)\(roundRobin ? ", round robin" : "")" }
    }

    private let folder: TemporaryFolder
    private let pid: pid_t
    let url: String

    init(_ mode: Mode) async throws {
        let target = try await TestDatabase.withSession { session in
            let result = try session.query(
                """
                SELECT COALESCE(host(inet_server_addr()),
                        split_part(current_setting('unix_socket_directories'), ',', 1)),
                    current_setting('port'), current_database(), current_user::text
                """)
            return try (0..<4).map { try result.text(0, $0) }
        }
        folder = try TemporaryFolder("pgbouncer")
        // PgBouncer refuses to run as root.
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.path)
        let password =
            URLComponents(string: Service.postgres.value ?? "")?.password.map { "password='\($0)'" } ?? ""
        let configuration = """
            [databases]
            * = host=\(target[0]) port=\(target[1]) dbname=\(target[2]) user=\(target[3]) \(password)
            [pgbouncer]
            listen_port = 6543
            unix_socket_dir = \(folder.path)
            unix_socket_mode = 0777
            auth_type = any
            pool_mode = \(mode.pool)
            default_pool_size = \(mode.size)
            server_round_robin = \(mode.roundRobin ? 1 : 0)
            """
        let file = folder.path + "/pgbouncer.ini"
        let created = FileManager.default.createFile(
            atPath: file, contents: Data(configuration.utf8), attributes: [.posixPermissions: 0o644])
        try #require(created)
        let process = Process()
        process.executableURL = URL(filePath: try #require(Service.pgBouncer.value))
        process.arguments = (getuid() == 0 ? ["-u", "nobody"] : []) + ["-q", file]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        pid = process.processIdentifier
        url = "postgresql://any@/any?host=\(folder.path)&port=6543"
        let socket = folder.path + "/.s.PGSQL.6543"
        try await eventuallyAsync {
            try NotYet.unless(FileManager.default.fileExists(atPath: socket), "\(socket) is not there")
        }
    }

    func stop() {
        // It inherits the blocked signals of the thread that started it.
        kill(pid, SIGKILL)
    }
}
