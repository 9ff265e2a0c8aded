import BlockingIO
import Glibc
import TestSupport
import Testing

@testable import Postgres

@Suite struct ConnectionThreadTests {
    private actor Counter {
        private let thread = ConnectionThread()
        private var value = 0
        private var threads: Set<UInt> = []

        nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

        func increment() -> Int {
            threads.insert(pthread_self())
            value += 1
            return value
        }

        var threadCount: Int { threads.count }
    }

    @Test func eachOfManyActorsKeepsToOneThread() async {
        let counters = (0..<50).map { _ in Counter() }
        await withTaskGroup(of: Void.self) { group in
            for counter in counters {
                for _ in 0..<4 {
                    group.addTask {
                        for _ in 0..<100 { _ = await counter.increment() }
                    }
                }
            }
        }
        for counter in counters {
            #expect(await counter.increment() == 401)
            #expect(await counter.threadCount == 1)
        }
    }

    @Test func theThreadEndsWithItsExecutor() async throws {
        func threads() throws -> Int {
            let directory = try #require(opendir("/proc/self/task"))
            defer { closedir(directory) }
            var count = 0
            while readdir(directory) != nil { count += 1 }
            return count
        }
        for _ in 0..<5 {
            let counters = (0..<200).map { _ in Counter() }
            for counter in counters { _ = await counter.increment() }
            #expect(try threads() >= 200)
        }
        // Ended threads leave the list a little later; 1000 were started.
        try await eventuallyAsync { try NotYet.unless(try threads() <= 200, "\(try threads()) threads") }
    }
}
