import Postgres
import TestSupport
import Testing

@testable import Catalog

@Suite(.needs(.postgres))
struct TransactionPoolerProbeTests {
    @Test func aDirectConnectionPasses() async throws {
        try await TestDatabase.withSchema { _ in
            let problem = try TransactionPoolerProbe.run(connecting: TestDatabase.settings())
            #expect(problem == nil)
        }
    }

    @Test(
        .needs(.pgBouncer),
        arguments: [
            PgBouncer.Mode(pool: "transaction", size: 1, roundRobin: false, refused: true),
            PgBouncer.Mode(pool: "transaction", size: 10, roundRobin: false, refused: true),
            PgBouncer.Mode(pool: "transaction", size: 10, roundRobin: true, refused: true),
            PgBouncer.Mode(pool: "statement", size: 10, roundRobin: false, refused: true),
            PgBouncer.Mode(pool: "session", size: 10, roundRobin: false, refused: false),
        ])
    func aTransactionPoolerIsFound(mode: PgBouncer.Mode) async throws {
        let pooler = try await PgBouncer(mode)
        defer { pooler.stop() }
        let settings = try ConnectionSettings(url: pooler.url, applicationName: "probe")
        try await PostgresConnection(try TestDatabase.settings()).perform { _ in
            // Several server connections first, so that the pool has some to choose from.
            let warm = try (0..<min(mode.size, 3)).map { _ in try PostgresSession(connecting: settings) }
            if mode.pool == "transaction", mode.size > 3 {
                for session in warm { try session.query("BEGIN") }
                for session in warm { try session.query("COMMIT") }
            }
            let problem = try TransactionPoolerProbe.run(connecting: settings)
            #expect((problem?.severity == .refuse) == mode.refused)
            if mode.refused {
                #expect(problem?.message.hasPrefix("a transaction pooler stands between") == true)
                #expect(problem?.mend.contains("pool_mode = session") == true)
            }
        }
    }

    @Test(.needs(.pgBouncer))
    func aSessionPoolOfOneIsTooSmall() async throws {
        let pooler = try await PgBouncer(.init(pool: "session", size: 1, roundRobin: false, refused: true))
        defer { pooler.stop() }
        var settings = try ConnectionSettings(url: pooler.url, applicationName: "probe")
        settings.answerTimeout = .seconds(1)
        let impatient = settings
        try await PostgresConnection(try TestDatabase.settings()).perform { _ in
            let problem = try TransactionPoolerProbe.run(connecting: impatient)
            #expect(problem?.message == "a second session gets no answer while a first one is open")
        }
    }

    @Test(.needs(.pgBouncer))
    func aSessionPoolIsComparedWithWhatTheCommandNeeds() async throws {
        let pooler = try await PgBouncer(.init(pool: "session", size: 3, roundRobin: false, refused: true))
        defer { pooler.stop() }
        var settings = try ConnectionSettings(url: pooler.url, applicationName: "probe")
        settings.connectTimeout = .seconds(1)
        let impatient = settings
        try await PostgresConnection(try TestDatabase.settings()).perform { _ in
            #expect(try TransactionPoolerProbe.run(connecting: impatient, sessions: 3) == nil)
            let problem = try TransactionPoolerProbe.run(connecting: impatient, sessions: 5)
            #expect(problem?.severity == .refuse)
            #expect(problem?.message == "the pool gives 3 sessions at once, and this command needs 5")
        }
    }
}
