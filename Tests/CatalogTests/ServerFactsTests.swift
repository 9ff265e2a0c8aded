import Postgres
import TestSupport
import Testing

@testable import Catalog

@Suite struct ServerFactsTests {
    @Test(arguments: [
        ("", 0), ("  ", 0), ("*", 1), ("s1", 1), ("s1, s2", 1), ("FIRST 2 (s1, s2, s3)", 2), ("2 (s1,s2)", 2),
        ("any 3(a,b,c,d)", 3), (" ANY  1 ( * )", 1), (#""FIRST 2 (a)", b"#, 1), (#"s1, "x (y)""#, 1),
        (#"FIRST 2 ("a (3 (", b)"#, 2),
    ])
    func requiredStandbysAreCounted(setting: String, count: Int) {
        #expect(SynchronousStandbyNames.requiredCount(setting) == count)
    }

    @Test func oldVersionsAreRefusedByName() {
        #expect(ServerFacts.versionProblem(140_000) == nil)
        #expect(ServerFacts.versionProblem(180_001) == nil)
        let problem = ServerFacts.versionProblem(130_014)
        #expect(problem?.severity == .refuse)
        #expect(problem?.message == "it is PostgreSQL 13; 14 is the oldest supported")
        #expect(
            ServerFacts.versionProblem(90_624)?.message == "it is PostgreSQL 9.6; 14 is the oldest supported")
    }

    @Test func anOrdinaryPrimaryHasNoProblems() {
        #expect(ServerFacts().problems(forWriting: true).isEmpty)
    }

    @Test func aStandbyIsRefusedForWriting() {
        let facts = ServerFacts(isStandby: true)
        #expect(facts.problems(forWriting: true).map(\.severity) == [.refuse])
        #expect(facts.problems(forWriting: true)[0].mend.hasPrefix("connect to the primary"))
        #expect(facts.problems(forWriting: false).map(\.severity) == [.warn])
    }

    @Test func missingSynchronousStandbysAreRefusedForWriting() {
        var facts = ServerFacts(standbyNames: "ANY 2 (a, b)")
        #expect(facts.problems(forWriting: false).isEmpty)
        #expect(
            facts.problems(forWriting: true).map(\.message) == [
                "synchronous_standby_names (ANY 2 (a, b)) requires 2 of its standbys, and 0 are connected and "
                    + "in step: COMMIT would wait for ever, with rows locked"
            ])
        (facts.connectedStandbys, facts.visibleStandbys, facts.confirmingStandbys) = (3, 3, 1)
        #expect(facts.problems(forWriting: true).map(\.severity) == [.refuse])
        facts.confirmingStandbys = 2
        #expect(facts.problems(forWriting: true).isEmpty)
        // To a role without pg_read_all_stats the states are hidden.
        (facts.connectedStandbys, facts.visibleStandbys, facts.confirmingStandbys) = (2, 0, 0)
        #expect(facts.problems(forWriting: true).map(\.severity) == [.warn])
        facts.connectedStandbys = 1
        #expect(facts.problems(forWriting: true).map(\.severity) == [.refuse])
    }

    @Test func settingsWorthKnowingAreWarnedOf() {
        let facts = ServerFacts(isReadOnlyByDefault: true, encoding: "SQL_ASCII", replicationRole: "replica")
        let problems = facts.problems(forWriting: true)
        #expect(problems.allSatisfy { $0.severity == .warn })
        #expect(problems.count == 3)
        #expect(facts.problems(forWriting: false).count == 1)
    }
}

@Suite(.needs(.postgres))
struct ServerPreflightTests {
    @Test func asksTheServer() async throws {
        try await TestDatabase.withSchema { schema in
            #expect(try Preflight.server(schema.session, forWriting: true).isEmpty)
            try schema.run("SET default_transaction_read_only = on", "SET session_replication_role = replica")
            let messages = try Preflight.server(schema.session, forWriting: true).map(\.message)
            #expect(messages.count == 2)
            #expect(messages.first?.hasPrefix("default_transaction_read_only is on") == true)
            #expect(messages.last?.hasPrefix("session_replication_role is replica") == true)
            try schema.run("SET default_transaction_read_only = off", "RESET session_replication_role")
        }
    }
}
