import Foundation
import TestSupport
import Testing

@testable import Redis

/// A server of a test's own, in a temporary folder, on a free loopback port. It ends with this object, and
/// with the test's process, however that ends: a shell waits for the pipe between them to close.
final class RedisServerProcess {
    let port: Int
    private let folder: TemporaryFolder
    /// The folder that the server works in.
    var path: String { folder.path }
    let arguments: [String]
    private(set) var pid: Int32 = 0
    private var shell: Process?
    private var keepAlive: Pipe?

    /// Whether the server was built with TLS; some packages are not.
    static let offersTLS: Bool = {
        guard Service.redisServer.isThere else { return false }
        do {
            _ = try RedisServerProcess(["--tls-auth-clients", "no"])
            return true
        } catch {
            return false
        }
    }()

    /// - Parameter arguments: as on the command line of `redis-server`, behind what every server gets.
    init(_ arguments: [String] = [], configuration: String? = nil, port: Int? = nil) throws {
        self.port = try port ?? FreePort.next()
        folder = try TemporaryFolder("redis")
        if let configuration {
            try configuration.write(
                to: folder.url.appendingPathComponent("redis.conf"), atomically: true, encoding: .utf8)
            self.arguments = ["redis.conf"] + arguments
        } else {
            self.arguments =
                ["--port", "\(self.port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
                + arguments
        }
        try start()
    }

    deinit {
        kill()
    }

    func start() throws {
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        let script = #""$0" "$@" >>server.log 2>&1 & echo $!; read -r _; kill -KILL $!"#
        shell.arguments = ["-c", script, try #require(Service.redisServer.value)] + arguments
        shell.currentDirectoryURL = folder.url
        let input = Pipe()
        let output = Pipe()
        shell.standardInput = input
        shell.standardOutput = output
        try shell.run()
        self.shell = shell
        keepAlive = input
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        pid = try #require(Int32(line.trimmingCharacters(in: .whitespacesAndNewlines)))
        for _ in 0..<500 {
            if isListening { return }
            if !isRunning { break }
            usleep(10_000)
        }
        let log: String
        do {
            log = try String(contentsOf: folder.url.appendingPathComponent("server.log"), encoding: .utf8)
        } catch {
            log = "no log: \(error)"
        }
        throw StartFailure(log: log)
    }

    struct StartFailure: Error {
        let log: String
    }

    /// Ends the server as a crash would.
    func kill() {
        keepAlive?.fileHandleForWriting.closeFile()
        keepAlive = nil
        // Its sockets go with its last thread, which may be later than the process's end.
        while isRunning || isListening { usleep(2_000) }
        shell = nil
    }

    func freeze() { Glibc.kill(pid, SIGSTOP) }
    func thaw() { Glibc.kill(pid, SIGCONT) }

    /// A process that has ended is gone, or a zombie that nobody has reaped.
    private var isRunning: Bool {
        guard pid > 0, let content = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else {
            return false
        }
        let afterName = String(decoding: content, as: UTF8.self).split(separator: ")").last ?? ""
        return !afterName.hasPrefix(" Z") && !afterName.hasPrefix(" X")
    }

    private var isListening: Bool {
        do {
            _ = try SocketHandle.connect(
                to: .tcp(host: "127.0.0.1", port: port), until: Deadline(in: .seconds(1)))
            return true
        } catch {
            return false
        }
    }

    func settings() -> RedisSettings {
        RedisSettings(.server(.tcp(host: "127.0.0.1", port: port)), clientName: "test")
    }

    func session() throws -> RedisSession { try RedisSession(connecting: settings()) }
}

extension Trait where Self == ConditionTrait {
    /// Some packages are built without.
    static var needsTLSServer: Self {
        .enabled(if: RedisServerProcess.offersTLS, "needs a redis-server that was built with TLS")
    }
}

enum FreePort {
    /// A port that was free a moment ago, and low enough for a cluster's bus at 10,000 above.
    static func next() throws -> Int {
        while true {
            let listener = try LoopbackListener()
            if listener.port < 55_000 { return listener.port }
        }
    }
}
