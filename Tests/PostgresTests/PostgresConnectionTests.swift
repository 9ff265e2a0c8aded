import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Postgres

/// What the actor promises to its callers: a thread of its own, and one caller at a time.
@Suite(.needs(.postgres)) struct PostgresConnectionTests {
    private final class Counter: Sendable {
        private let count = Mutex(0)

        var value: Int { count.withLock { $0 } }
        func add(_ number: Int) { count.withLock { $0 += number } }
    }

    /// More sessions than the cooperative pool has threads: each waits in its statement until all are in theirs.
    @Test func sessionsThatBlockDoNotBlockOneAnother() async throws {
        let settings = try TestDatabase.settings()
        let count = 16 + 2 * sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let arrived = Counter()
        let deadline = ContinuousClock.now.advanced(by: .seconds(15))
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<count {
                group.addTask {
                    try await PostgresConnection(settings).perform { session in
                        arrived.add(1)
                        while arrived.value < count, ContinuousClock.now < deadline {
                            try session.query("SELECT pg_sleep(0.01)")
                        }
                        return arrived.value
                    }
                }
            }
            for try await seen in group { #expect(seen == count) }
        }
    }

    @Test func noOtherCallerComesInBetweenTwoStatements() async throws {
        let connection = PostgresConnection(try TestDatabase.settings())
        let callers = Counter()
        try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<8 {
                group.addTask {
                    try await connection.perform { session in
                        callers.add(1)
                        let before = callers.value
                        try session.query("SELECT pg_sleep(0.02)")
                        let after = callers.value
                        callers.add(-1)
                        return [before, after]
                    }
                }
            }
            for try await seen in group { #expect(seen == [1, 1]) }
        }
        await connection.close()
    }

    @Test func allCallsRunOnTheSameThread() async throws {
        let connection = PostgresConnection(try TestDatabase.settings())
        var threads: Set<UInt> = []
        for _ in 0..<20 {
            threads.insert(try await connection.perform { _ in UInt(pthread_self()) })
            await Task.yield()
        }
        #expect(threads.count == 1)
    }
}
