package import BatchQueue
import Hummingbird
package import Logging

/// The dashboard's HTTP server.
package struct DashboardServer: Sendable {
    private let configuration: Configuration
    private let monitor: QueueMonitor
    private let logger: Logger

    package struct Configuration: Sendable {
        package let host: String
        /// 0 takes a free one.
        package let port: Int
        package let token: AccessToken?
        package let allowsControl: Bool

        package init(host: String, port: Int, token: AccessToken?, allowsControl: Bool) {
            self.host = host
            self.port = port
            self.token = token
            self.allowsControl = allowsControl
        }

        package var isLoopback: Bool { ["127.0.0.1", "::1", "localhost"].contains(host) }
    }

    package init(_ configuration: Configuration, _ monitor: QueueMonitor, logger: Logger) {
        self.configuration = configuration
        self.monitor = monitor
        self.logger = logger
    }

    /// Serves until its task is cancelled or the service group that it runs in shuts down.
    /// - Parameter onListening: called with the port once connections are taken.
    package func run(onListening: @escaping @Sendable (Int) -> Void) async throws {
        let feed = PictureFeed(monitor, logger: logger)
        let routes = DashboardRoutes(
            feed: feed, monitor: monitor,
            policy: AccessPolicy(token: configuration.token, isOpenOnLoopback: configuration.isLoopback),
            allowsControl: configuration.allowsControl, logger: logger)
        // What its library says of connections that end is nobody's business here.
        var quiet = logger
        quiet.logLevel = .critical
        let server = Application(
            router: routes.router(),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: nil),
            onServerRunning: { channel in onListening(channel.localAddress?.port ?? 0) },
            logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await feed.run() }
            group.addTask { try await server.run() }
            try await group.next()
            group.cancelAll()
        }
    }
}
