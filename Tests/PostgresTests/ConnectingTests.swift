import Foundation
import TestSupport
import Testing

@testable import Postgres

/// Connections that do not come about, and what their errors say.
@Suite struct ConnectingTests {
    private func failure(_ url: String, timeout: Duration = .seconds(5)) throws -> PostgresError? {
        var settings = try ConnectionSettings(url: url, applicationName: "test")
        settings.connectTimeout = timeout
        let impatient = settings
        return #expect(throws: PostgresError.self) { try PostgresSession(connecting: impatient) }
    }

    @Test(arguments: [
        "postgresql://app:s3cret%ZZ@localhost/db", "postgres://app:s3cret@[::1/db", "host=x pass word=s3cret",
        "postgresql://app:s3cret@host/db?no_such_option=s3cret",
    ])
    func anInvalidURLIsNotEchoed(url: String) {
        let error = #expect(throws: PostgresError.self) {
            try ConnectionSettings(url: url, applicationName: "test")
        }
        #expect(error?.code == .invalidSettings)
        #expect(error?.description.contains("s3cret") == false)
        #expect(error?.message.contains("postgresql://user:password@host:port/database") == true)
    }

    @Test func aClosedPortIsNamedAndMayBeTriedAgain() throws {
        let error = try failure("postgresql://app:s3cret@127.0.0.1:1/db")
        #expect(error?.code == .connectionFailed)
        #expect(error?.isRetriable == true)
        #expect(error?.message.contains("port 1") == true)
        #expect(error?.description.contains("s3cret") == false)
    }

    @Test func anUnknownHostIsNamed() throws {
        let error = try failure("postgresql://app:s3cret@no-such-host.invalid/db")
        #expect(error?.code == .connectionFailed)
        #expect(error?.message.contains("no-such-host.invalid") == true)
        #expect(error?.description.contains("s3cret") == false)
    }

    @Test func aServerThatNeverAnswersIsGivenUpInTime() throws {
        // The kernel completes the handshake of a listening socket; nobody ever reads from it.
        let listener = try LoopbackListener()
        let began = ContinuousClock.now
        let error = try failure(
            "postgresql://app:s3cret@127.0.0.1:\(listener.port)/db", timeout: .milliseconds(300))
        #expect(error?.code == .connectionFailed)
        #expect(error?.message.hasPrefix("no connection within 0.3 seconds") == true)
        #expect(ContinuousClock.now - began < .seconds(5))
    }

    @Test(.needs(.postgres))
    func theServersRefusalCarriesItsSQLState() throws {
        let test = try #require(Service.postgres.value)
        var url = try #require(URLComponents(string: test))
        url.path = "/no_such_database"
        var changed = try #require(url.string)
        let database = try failure(changed)
        #expect(database?.code == .connectionFailed)
        #expect(database?.sqlState?.code == "3D000")
        #expect(database?.needsOperator == true)
        #expect(database?.isRetriable == false)
        #expect(database?.message.hasSuffix("\"no_such_database\" does not exist") == true)
        #expect(database?.message.contains("LOCATION") == false)
        url.path = "/postgres"
        url.user = "no_such_role"
        url.password = "s3cret"
        changed = try #require(url.string)
        let role = try failure(changed)
        #expect(role?.sqlState?.classCode == "28")
        #expect(role?.description.contains("s3cret") == false)
    }
}

@Suite struct ConnectionRefusalTests {
    @Test(
        arguments: [
            (
                #"connection to server at "db", port 5432 failed: FATAL:  28P01: password authentication failed for user "app"; LOCATION:  auth_failed, auth.c:331"#,
                #"connection to server at "db", port 5432 failed: FATAL: password authentication failed for user "app""#,
                "28P01"
            ),
            (
                "connection to server failed: FATAL:  57P03: the database system is starting up; LOCATION:  x, y.c:1",
                "connection to server failed: FATAL: the database system is starting up", "57P03"
            ),
            (
                "connection to server at a failed: Connection refused; Is the server running?",
                "connection to server at a failed: Connection refused; Is the server running?", nil
            ),
            // Two hosts, one of which may be back in a moment.
            (
                "connection to server at a failed: Connection refused; connection to server at b failed: FATAL:  28P01: no",
                "connection to server at a failed: Connection refused; connection to server at b failed: FATAL: no",
                nil
            ),
            (
                "connection to server at a failed: FATAL:  57P03: x; connection to server at b failed: FATAL:  28P01: y",
                "connection to server at a failed: FATAL: x; connection to server at b failed: FATAL: y", nil
            ),
        ] as [(String, String, String?)])
    func readsVerboseMessages(verbose: String, message: String, state: String?) {
        let refusal = ConnectionRefusal(verbose)
        #expect(refusal.message == message)
        #expect(refusal.sqlState?.code == state)
    }
}
