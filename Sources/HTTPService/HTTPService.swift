package import Hummingbird
package import Logging

/// A small HTTP/1.1 server beside the work: whoever owns routes passes them in.
package struct HTTPService: Sendable {
    private let application: Application<RouterResponder<BasicRequestContext>>

    /// - Parameters:
    ///   - address: where to listen, and nowhere else.
    ///   - onListening: called once it listens, with the port: another one than asked for where that was 0.
    ///   - routes: are added to an empty router.
    package init(
        _ address: ListenAddress, logger: Logger, onListening: @escaping @Sendable (Int) -> Void = { _ in },
        routes: (Router<BasicRequestContext>) -> Void
    ) {
        let router = Router()
        routes(router)
        // Its own lines, of connections that end, say nothing that an operator of a rotation needs.
        var quiet = logger
        quiet.logLevel = .critical
        application = Application(
            responder: router.buildResponder(),
            configuration: ApplicationConfiguration(
                address: .hostname(address.host, port: address.port), serverName: nil),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? 0
                logger.info(
                    "Listening for HTTP", metadata: ["address": "\(address.host)", "port": "\(port)"])
                onListening(port)
            },
            logger: quiet)
    }

    /// Serves until cancelled, or until the service's group shuts down.
    /// - Throws: `HTTPServiceError` where it cannot listen.
    package func run() async throws {
        do {
            try await application.run()
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
