import ArgumentParser
import Glibc
import Logging
import Postgres
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Runs a job as a service that SIGINT and SIGTERM end gracefully, and says which of them did.
enum StopSignals {
    /// Runs `body` until it ends; a signal cancels its task, and it then finishes what is in hand. A second
    /// signal ends the process at once: transactions that are open are rolled back by the server.
    /// - Throws: the body's error; the exit code of the signal where that is what ended it.
    /// - Returns: the body's value, and the signal that stopped it.
    /// - Parameter notice: what the log says when the first signal comes.
    static func run<R: Sendable>(
        _ logger: Logger,
        notice: String = "Stopping: finishing the ranges in hand. A second signal ends at once",
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> (value: R, signal: Int32?) {
        let outcome = Mutex<Result<R, any Error>?>(nil)
        let received = Mutex<Int32?>(nil)
        let job = JobService {
            do {
                let value = try await body()
                outcome.withLock { $0 = .success(value) }
            } catch {
                outcome.withLock { $0 = .failure(error) }
            }
        }
        var quiet = logger
        quiet.logLevel = .error
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let watcher = SignalService(signals: signals) { signal in
            received.withLock { $0 = signal }
            logger.info("\(notice)")
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: job, successTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: watcher, successTerminationBehavior: .gracefullyShutdownGroup),
                ], logger: quiet))
        try await group.run()
        let signal = received.withLock { $0 }
        guard let result = outcome.withLock({ $0 }) else { throw ExitStatus.stopped(by: signal ?? SIGTERM) }
        do {
            return (try result.get(), signal)
        } catch  where signal != nil && isCancellation(error) {
            // Stopped before there was anything to finish.
            throw ExitStatus.stopped(by: signal ?? SIGTERM)
        }
    }

    /// A task that was cancelled, or the statement that it was in.
    private static func isCancellation(_ error: any Error) -> Bool {
        if error is CancellationError { return true }
        return (error as? PostgresError)?.sqlState == .queryCanceled
    }

    private struct JobService: Service {
        let body: @Sendable () async -> Void

        func run() async {
            await cancelWhenGracefulShutdown { await body() }
        }
    }

    /// Ends with the first signal, which begins the graceful shutdown of the group.
    private struct SignalService: Service {
        let signals: UnixSignalsSequence
        let onSignal: @Sendable (Int32) -> Void

        func run() async {
            for await signal in signals.cancelOnGracefulShutdown() {
                onSignal(signal.rawValue)
                // From now on the default: the next signal ends the process.
                Glibc.signal(SIGINT, SIG_DFL)
                Glibc.signal(SIGTERM, SIG_DFL)
                return
            }
        }
    }
}
