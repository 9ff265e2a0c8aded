import ArgumentParser
import Exposition
import HTTPService
import Logging
import Metrics
import Rotation

/// `--metrics-listen`.
struct MetricsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Answer GET /metrics here, for Prometheus.", valueName: "address:port"))
    var metricsListen: ListenAddress?

    /// Makes whatever this process counts go to where /metrics shows it; to nowhere where nobody may ask. Once a
    /// process.
    func keepMetrics(_ descriptions: [MetricDescription]) -> PrometheusRegistry? {
        if metricsListen == nil { return nil }
        let registry = PrometheusRegistry(descriptions)
        MetricsSystem.bootstrap(registry)
        return registry
    }

    /// Runs `body`, and beside it a server for what is asked for.
    /// - Throws: as `ListeningOptions.serving`.
    func serving<R: Sendable>(
        _ registry: PrometheusRegistry?, _ logger: Logger, _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        try await Listening(healthAddress: nil, metricsAddress: metricsListen).serving(
            nil, registry, logger, body)
    }
}

/// `--health-listen` and `--metrics-listen`.
struct ListeningOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Answer GET /live and GET /ready here: 200, or 503 and the reason. May be the same address.",
            valueName: "address:port"))
    var healthListen: ListenAddress?

    @OptionGroup var metrics: MetricsOptions

    /// Runs `body`, and beside it a server for what is asked for, or two where the addresses differ.
    /// - Throws: the body's error; `HTTPServiceError` where a server cannot listen, which ends the body.
    func serving<R: Sendable>(
        _ health: HealthMonitor, _ registry: PrometheusRegistry?, _ logger: Logger,
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        try await Listening(healthAddress: healthListen, metricsAddress: metrics.metricsListen).serving(
            health, registry, logger, body)
    }
}

/// The servers behind the options.
private struct Listening {
    let healthAddress: ListenAddress?
    let metricsAddress: ListenAddress?

    func serving<R: Sendable>(
        _ health: HealthMonitor?, _ registry: PrometheusRegistry?, _ logger: Logger,
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        let services = services(health, registry, logger)
        if services.isEmpty { return try await body() }
        return try await withThrowingTaskGroup(of: R?.self) { group in
            for service in services {
                group.addTask {
                    do {
                        try await service.run()
                    } catch  where Task.isCancelled {
                        // It was told to end, whatever it makes of that; the body's own end is what counts.
                    }
                    return nil
                }
            }
            group.addTask { try await body() }
            // Servers end first where the process is told to stop; what is in hand is still finished.
            while let ended = try await group.next() {
                guard let result = ended else { continue }
                group.cancelAll()
                return result
            }
            throw CancellationError()
        }
    }

    private func services(
        _ health: HealthMonitor?, _ registry: PrometheusRegistry?, _ logger: Logger
    ) -> [HTTPService] {
        var addresses: [ListenAddress] = []
        for address in [healthAddress, metricsAddress] {
            if let address, !addresses.contains(address) { addresses.append(address) }
        }
        return addresses.map { address in
            var paths: [String] = []
            if address == healthAddress { paths += ["/live", "/ready"] }
            if address == metricsAddress { paths.append("/metrics") }
            var logger = logger
            logger[metadataKey: "paths"] = "\(paths.joined(separator: " "))"
            var routes = HTTPRoutes()
            if address == healthAddress, let health {
                routes.get("/live") { _ in try HealthAnswer.response(health.liveness) }
                routes.get("/ready") { _ in try HealthAnswer.response(health.readiness) }
            }
            if address == metricsAddress, let registry {
                routes.get("/metrics") { _ in MetricsAnswer.response(registry.text) }
            }
            return HTTPService(address, routes, logger: logger)
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
