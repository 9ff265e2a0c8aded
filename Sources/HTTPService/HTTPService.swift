import Glibc
import HTTPTypes
import HummingbirdCore
package import Logging
import NIOCore
import NIOPosix

/// A small HTTP/1.1 server beside the work: whoever owns routes passes them in.
package struct HTTPService: Sendable {
    private let address: ListenAddress
    private let routes: HTTPRoutes
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - address: where to listen, and nowhere else.
    ///   - onListening: called once it listens, with the port: another one than asked for where that was 0.
    package init(
        _ address: ListenAddress, _ routes: HTTPRoutes, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.address = address
        self.routes = routes
        self.logger = logger
        self.onListening = onListening
    }

    /// Serves until cancelled, or until the service's group shuts down.
    /// - Throws: `HTTPServiceError` where it cannot listen.
    package func run() async throws {
        let (address, routes, logger, onListening) = (address, routes, logger, onListening)
        let connection = HTTP1Channel { request, writer, _ in
            var response = try await routes.response(to: request)
            response.headers[.date] = HTTPDate.text(time(nil))
            try await writer.write(response: response.head, body: response.body)
        }
        // Its own lines, of connections that end, say nothing that an operator of a rotation needs.
        var quiet = logger
        quiet.logLevel = .critical
        let server = Server(
            childChannelSetup: connection,
            configuration: ServerConfiguration(address: .hostname(address.host, port: address.port)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? 0
                logger.info(
                    "Listening for HTTP", metadata: ["address": "\(address.host)", "port": "\(port)"])
                onListening(port)
            },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        do {
            try await server.run()
        } catch  where !(error is CancellationError) {
            throw HTTPServiceError(reason: "\(error)")
        }
    }
}

/// Why there is no server.
package struct HTTPServiceError: Error, CustomStringConvertible {
    /// The system's words.
    package let reason: String
    package var description: String { "cannot listen for HTTP: \(reason)" }
}
