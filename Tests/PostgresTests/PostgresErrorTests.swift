import Testing

@testable import Postgres

/// What policies rely on, without a server.
@Suite struct PostgresErrorTests {
    @Test(arguments: [
        ("08006", true, false, true), ("40001", true, false, false), ("40P01", true, false, false),
        ("53300", true, false, false), ("57014", false, false, false), ("57P01", true, false, true),
        ("57P03", true, false, true), ("58030", true, false, false), ("25006", true, false, false),
        ("25P03", true, false, true), ("55006", true, false, false), ("55P03", true, false, false),
        ("0A000", false, true, false), ("26000", false, true, false), ("28P01", false, true, false),
        ("3D000", false, true, false), ("42501", false, true, false), ("55000", false, true, false),
        ("22001", false, false, false), ("23514", false, false, false), ("P0001", false, false, false),
    ])
    func theStateSaysWhetherToTryAgain(
        code: String, isRetriable: Bool, needsOperator: Bool, breaksConnection: Bool
    ) {
        let error = PostgresError(.server, "x", sqlState: SQLState(code))
        #expect(error.isRetriable == isRetriable)
        #expect(error.needsOperator == needsOperator)
        #expect(error.breaksConnection == breaksConnection)
        #expect(error.description == "server error: x (SQLSTATE \(code))")
    }

    @Test func errorsWithoutAServerAreClassifiedToo() {
        for code in [PostgresError.Code.connectionFailed, .connectionLost, .timedOut] {
            #expect(PostgresError(code, "").isRetriable)
            #expect(PostgresError(code, "").breaksConnection)
        }
        for code in [PostgresError.Code.invalidSettings, .unexpectedAnswer] {
            #expect(PostgresError(code, "").needsOperator)
            #expect(!PostgresError(code, "").breaksConnection)
        }
    }
}
