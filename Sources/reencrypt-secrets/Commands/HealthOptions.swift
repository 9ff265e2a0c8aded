import ArgumentParser
import HTTPService
import Hummingbird
import Logging
import Rotation

/// `--health-listen`, and the server behind it.
struct HealthOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Answer GET /live and GET /ready here: 200, or 503 and the reason.", valueName: "address:port"))
    var healthListen: ListenAddress?

    /// Runs `body`, and a server for its health beside it where one is asked for.
    /// - Throws: the body's error; `HTTPServiceError` where the server cannot listen, which ends the body.
    func serving<R: Sendable>(
        _ health: HealthMonitor, _ logger: Logger, _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        guard let healthListen else { return try await body() }
        let service = HTTPService(healthListen, logger: logger) { router in
            router.get("live") { _, _ in HealthAnswer.response(health.liveness) }
            router.get("ready") { _, _ in HealthAnswer.response(health.readiness) }
        }
        return try await withThrowingTaskGroup(of: R?.self) { group in
            group.addTask {
                do {
                    try await service.run()
                } catch  where Task.isCancelled {
                    // It was told to end, whatever it makes of that; the body's own end is what counts.
                }
                return nil
            }
            group.addTask { try await body() }
            // The server ends first where the process is told to stop; what is in hand is still finished.
            while let ended = try await group.next() {
                guard let result = ended else { continue }
                group.cancelAll()
                return result
            }
            throw CancellationError()
        }
    }
}

extension ListenAddress: ExpressibleByArgument {
    /// Nil for what is no `ADDRESS:PORT`.
    package init?(argument: String) { self.init(argument) }

    /// As it is typed, for `--help` and the man page.
    package var defaultValueDescription: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
