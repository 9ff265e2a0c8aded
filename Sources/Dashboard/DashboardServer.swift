package import BatchQueue
package import HTTPService
package import Logging

/// The dashboard's HTTP server.
package struct DashboardServer: Sendable {
    private let configuration: Configuration
    private let monitor: QueueMonitor
    private let logger: Logger

    package struct Configuration: Sendable {
        package let address: ListenAddress
        package let token: AccessToken?
        package let allowsControl: Bool

        package init(address: ListenAddress, token: AccessToken?, allowsControl: Bool) {
            self.address = address
            self.token = token
            self.allowsControl = allowsControl
        }
    }

    package init(_ configuration: Configuration, _ monitor: QueueMonitor, logger: Logger) {
        self.configuration = configuration
        self.monitor = monitor
        self.logger = logger
    }

    /// Serves until its task is cancelled or the service group that it runs in shuts down.
    /// - Parameter onListening: called with the port once connections are taken.
    /// - Throws: `HTTPServiceError` where it cannot listen.
    package func run(onListening: @escaping @Sendable (Int) -> Void) async throws {
        let feed = PictureFeed(monitor, logger: logger)
        let dashboard = DashboardRoutes(
            feed: feed, monitor: monitor,
            policy: AccessPolicy(
                token: configuration.token, isOpenOnLoopback: configuration.address.isLoopback),
            allowsControl: configuration.allowsControl, logger: logger)
        let server = HTTPService(
            configuration.address, dashboard.routes, logger: logger, onListening: onListening)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await feed.run() }
            group.addTask {
                do {
                    try await server.run()
                } catch  where Task.isCancelled {
                    // It was told to end, whatever it makes of that.
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }
}
