import Glibc

/// What a condition throws that does not hold yet.
package struct NotYet: Error {
    let what: String

    package static func unless(_ condition: Bool, _ what: String) throws {
        if !condition { throw NotYet(what: what) }
    }
}

/// Tries until it succeeds, for at most `limit`; what it throws last is thrown.
package func eventually<R>(within limit: Duration = .seconds(10), _ body: () throws -> R) throws -> R {
    let deadline = ContinuousClock.now.advanced(by: limit)
    while true {
        do {
            return try body()
        } catch {
            guard ContinuousClock.now < deadline else { throw error }
            usleep(20_000)
        }
    }
}

/// The same for what waits itself.
package func eventuallyAsync<R>(
    within limit: Duration = .seconds(20), _ body: () async throws -> R
) async throws -> R {
    let deadline = ContinuousClock.now.advanced(by: limit)
    while true {
        do {
            return try await body()
        } catch {
            guard ContinuousClock.now < deadline else { throw error }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
