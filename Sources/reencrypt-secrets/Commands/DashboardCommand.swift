import ArgumentParser
import BatchQueue
import Dashboard
import HTTPService
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
    var listen = ListenAddress.dashboard

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
                address: listen, token: token, allowsControl: allowControl)
            if token == nil, allowControl || !configuration.address.isLoopback {
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

    static let tokenName = "REENCRYPT_DASHBOARD_TOKEN"

    private static func token(_ environment: Environment) throws -> AccessToken? {
        guard let text = try environment.string(tokenName) else { return nil }
        guard let token = AccessToken(text) else {
            throw SettingsError(
                "REENCRYPT_DASHBOARD_TOKEN has to have at least \(AccessToken.shortest) characters, without spaces, "
                    + "quotes, commas, semicolons and backslashes; make one with `openssl rand -hex 24`")
        }
        return token
    }
}

extension ListenAddress {
    static let dashboard = ListenAddress(unchecked: "127.0.0.1", port: 8080)
}
