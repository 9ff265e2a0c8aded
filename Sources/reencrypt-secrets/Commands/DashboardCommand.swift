import ArgumentParser
import BatchQueue
import Dashboard
import Logging

/// `dashboard`: the queue as a web page and as metrics.
struct DashboardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract: "Serves a live page of the queue, and its metrics at /metrics.",
        discussion: """
            On a loopback address everybody on this machine may look. Any other address demands the token, of at \
            least 16 characters, in REENCRYPT_DASHBOARD_TOKEN or the file that REENCRYPT_DASHBOARD_TOKEN_FILE names: \
            browsers are asked for it, scrapers send it as `Authorization: Bearer`. --allow-control needs it too.
            """)

    @Option(help: "Where to listen, as ADDRESS:PORT; port 0 takes a free one.")
    var listen = ListenAddress(host: "127.0.0.1", port: 8080)

    @Flag(help: "Lets whoever has the token pause, resume and cancel the job.")
    var allowControl = false

    @OptionGroup var queue: QueueOptions
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        let logger = logging.makeLogger()
        try await CommandFailure.reporting(to: logger) {
            let environment = try Environment()
            let token = try Self.token(environment)
            let configuration = DashboardServer.Configuration(
                host: listen.host, port: listen.port, token: token, allowsControl: allowControl)
            if token == nil, allowControl || !configuration.isLoopback {
                throw SettingsError(
                    (allowControl ? "--allow-control" : "an address other than loopback")
                        + " needs a token: set REENCRYPT_DASHBOARD_TOKEN or REENCRYPT_DASHBOARD_TOKEN_FILE, "
                        + "such as from `openssl rand -hex 24`")
            }
            let redis = try queue.connect(environment, as: "reencrypt-secrets dashboard")
            let server = DashboardServer(
                configuration, QueueMonitor(redis, queue: queue.queue), logger: logger)
            let host = listen.host.contains(":") ? "[\(listen.host)]" : listen.host
            let stopped = try await StopSignals.run(logger, notice: "Stopping") {
                try await server.run { port in
                    Console.printResult("Dashboard of queue \(queue.queue): http://\(host):\(port)/\n")
                }
            }
            if let signal = stopped.signal { throw ExitStatus.stopped(by: signal) }
        }
    }

    private static func token(_ environment: Environment) throws -> AccessToken? {
        guard let text = try environment.string("REENCRYPT_DASHBOARD_TOKEN") else { return nil }
        Environment.wipe(["REENCRYPT_DASHBOARD_TOKEN"])
        guard let token = AccessToken(text) else {
            throw SettingsError(
                "REENCRYPT_DASHBOARD_TOKEN has to have at least \(AccessToken.shortest) characters, without spaces, "
                    + "quotes, commas, semicolons and backslashes; make one with `openssl rand -hex 24`")
        }
        return token
    }
}

/// `127.0.0.1:8080`, `[::1]:0`, `0.0.0.0:9090`.
struct ListenAddress: ExpressibleByArgument {
    let host: String
    let port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"),
            let port = UInt16(argument[argument.index(after: colon)...])
        else { return nil }
        var host = argument[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        if host.isEmpty { return nil }
        self.init(host: String(host), port: Int(port))
    }

    var defaultValueDescription: String { "\(host):\(port)" }
}
