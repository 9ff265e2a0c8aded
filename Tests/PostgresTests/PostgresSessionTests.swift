import TestSupport
import Testing

@testable import Postgres

@Suite(.needs(.postgres))
struct PostgresSessionTests {
    @Test func errorsCarryTheirSQLState() async throws {
        try await TestDatabase.withSession { session in
            let division = #expect(throws: PostgresError.self) { try session.query("SELECT 1/0") }
            #expect(division?.sqlState?.code == "22012")
            #expect(division?.message == "its message may quote a row's contents; it is in the server's log")
            let syntax = #expect(throws: PostgresError.self) { try session.query("SELEC") }
            #expect(syntax?.sqlState?.code == "42601")
            // The detail line of this error holds the row.
            try session.query(
                "CREATE TEMPORARY TABLE t (a int, secret text, CONSTRAINT positive CHECK (a > 0))")
            let check = #expect(throws: PostgresError.self) {
                try session.query("INSERT INTO t VALUES (-1, 'hidden')")
            }
            #expect(check?.sqlState?.code == "23514")
            #expect(check?.constraint == "positive")
            #expect(check?.description.contains("hidden") == false)
            #expect(try session.number("SELECT 7") == 7)
        }
    }

    @Test func anErrorInAGroupSkipsTheRestOfIt() async throws {
        try await TestDatabase.withSession { session in
            try session.query("CREATE TEMPORARY TABLE t (a int)")
            var none = QueryParameters()
            try session.send("INSERT INTO t VALUES (1)", &none)
            try session.send("SELECT 1/0", &none)
            try session.send("INSERT INTO t VALUES (2)", &none)
            try session.submit()
            try session.send("INSERT INTO t VALUES (3)", &none)
            try session.send("SELECT a FROM t", &none)
            try session.submit()
            let error = #expect(throws: PostgresError.self) { try session.collect() }
            #expect(error?.sqlState?.code == "22012")
            #expect(error?.breaksConnection == false)
            // The group was one implicit transaction; the next one is not concerned.
            let results = try session.collect()
            #expect(results.count == 2)
            #expect(results[0].affectedRows == 1)
            #expect(results[1].rowCount == 1)
            #expect(results[1].integer(0, 0) == 3)
            let nothing = #expect(throws: PostgresError.self) { try session.collect() }
            #expect(nothing?.code == .unexpectedAnswer)
            #expect(try session.number("SELECT 1") == 1)
        }
    }

    @Test func aStatementThatDidNotParseIsPreparedAgain() async throws {
        try await TestDatabase.withSession { session in
            let statement = PreparedStatement(name: "late", sql: "SELECT a FROM late")
            var none = QueryParameters()
            for _ in 0..<2 {
                let error = #expect(throws: PostgresError.self) { try session.query(statement, &none) }
                #expect(error?.sqlState?.code == "42P01")
            }
            try session.query("CREATE TEMPORARY TABLE late AS SELECT 5 AS a")
            #expect(try session.query(statement, &none).integer(0, 0) == 5)
            // Skipped because of an earlier statement of its group: not prepared either.
            let other = PreparedStatement(name: "other", sql: "SELECT a + 1 FROM late")
            try session.send("SELECT 1/0", &none)
            try session.send(other, &none)
            try session.send(other, &none)
            try session.submit()
            #expect(throws: PostgresError.self) { try session.collect() }
            #expect(try session.query(other, &none).integer(0, 0) == 6)
            // Prepared in a group that failed after it: still prepared.
            let third = PreparedStatement(name: "third", sql: "SELECT a + 2 FROM late")
            try session.send(third, &none)
            try session.send("SELECT 1/0", &none)
            try session.submit()
            #expect(throws: PostgresError.self) { try session.collect() }
            #expect(try session.query(third, &none).integer(0, 0) == 7)
        }
    }

    @Test func commitOfAFailedTransactionIsNoSuccess() async throws {
        try await TestDatabase.withSession { session in
            try session.query("BEGIN")
            #expect(throws: PostgresError.self) { try session.query("SELECT 1/0") }
            #expect(try session.query("COMMIT").commandTag == "ROLLBACK")
            let swallowed = #expect(throws: PostgresError.self) {
                try session.transaction("BEGIN") { session in
                    do {
                        try session.query("SELECT 1/0")
                    } catch let error as PostgresError where error.code == .server {}
                }
            }
            #expect(swallowed?.message == "COMMIT was answered with ROLLBACK")
            let first = #expect(throws: PostgresError.self) {
                try session.transaction("BEGIN") { session in try session.query("SELECT 1/0") }
            }
            #expect(first?.sqlState?.code == "22012")
            let value = try session.transaction("BEGIN") { try $0.number("SELECT 3") }
            #expect(value == 3)
        }
    }

    @Test func aStatementIsCancelledFromOutside() async throws {
        try await TestDatabase.withSession { session in
            let handle = try #require(session.cancelHandle)
            var none = QueryParameters()
            try session.send("SELECT pg_sleep(60)", &none)
            try session.submit()
            // On its way already; asked again until it has begun to run.
            let asking = Task.detached {
                while !Task.isCancelled {
                    try handle.cancel()
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            defer { asking.cancel() }
            let error = #expect(throws: PostgresError.self) { try session.collect() }
            #expect(error?.sqlState == .queryCanceled)
            #expect(error?.breaksConnection == false)
        }
    }

    @Test func theServersTimeoutsLeaveTheSessionUsable() async throws {
        try await TestDatabase.withSession { session in
            try session.query("SET statement_timeout = 50")
            let statement = #expect(throws: PostgresError.self) { try session.query("SELECT pg_sleep(60)") }
            #expect(statement?.sqlState == .queryCanceled)
            try session.query("SET statement_timeout = 0")

            let key = Int.random(in: 1...Int(Int32.max))
            let other = try PostgresSession(connecting: try TestDatabase.settings())
            try other.query("SELECT pg_advisory_lock(\(key))")
            try session.query("SET lock_timeout = 50")
            let lock = #expect(throws: PostgresError.self) {
                try session.query("SELECT pg_advisory_lock(\(key))")
            }
            #expect(lock?.sqlState == .lockNotAvailable)
            #expect(lock?.isRetriable == true)
            #expect(try session.number("SELECT 1") == 1)
        }
    }

    @Test func aTerminatedBackendBreaksTheConnection() async throws {
        let connection = PostgresConnection(try TestDatabase.settings())
        let first = try await connection.perform { $0.backendPID }
        let error = await #expect(throws: PostgresError.self) {
            try await connection.perform { session in
                let other = try PostgresSession(connecting: try TestDatabase.settings())
                try other.query("SELECT pg_terminate_backend(\(session.backendPID), 5000)")
                try session.query("SELECT 1")
            }
        }
        #expect(error?.breaksConnection == true)
        #expect(error?.isRetriable == true)
        // The actor connects again.
        let second = try await connection.perform { $0.backendPID }
        #expect(first != second)
    }

    @Test func aBrokenSessionStaysBroken() async throws {
        let error = try await TestDatabase.withSession(answerTimeout: .milliseconds(200)) { session in
            let began = ContinuousClock.now
            let error = #expect(throws: PostgresError.self) { try session.query("SELECT pg_sleep(5)") }
            #expect(ContinuousClock.now - began < .seconds(4))
            let later = #expect(throws: PostgresError.self) { try session.query("SELECT 1") }
            #expect(later?.code == .connectionLost)
            return error
        }
        #expect(error?.code == .timedOut)
        #expect(error?.breaksConnection == true)
    }

    @Test func aSessionReportsServerAndSettings() async throws {
        try await TestDatabase.withSession { session in
            #expect(session.serverVersion >= 140_000)
            #expect(session.parameterStatus("client_encoding") == "UTF8")
            #expect(session.parameterStatus("no such parameter") == nil)
            let result = try session.query(
                "SELECT pg_backend_pid(), now()::text, current_setting('application_name')")
            #expect(result.integer(0, 0) == session.backendPID)
            #expect(result.string(0, 1)?.hasSuffix("+00") == true)
            #expect(result.string(0, 2) == TestDatabase.applicationName)
        }
    }
}
