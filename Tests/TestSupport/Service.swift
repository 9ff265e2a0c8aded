import Foundation
package import Testing

/// What a test may need besides its own process. An environment variable names each, and nothing else is looked at: a
/// run in which none is set is a run of the unit tests. `scripts/test` sets them all.
package enum Service: String, Sendable {
    /// The address of a private server, reached as superuser.
    case postgres = "REENCRYPT_TEST_DATABASE_URL"
    /// The address of a private server.
    case redis = "REENCRYPT_TEST_REDIS_URL"
    /// The program, of which tests start servers of their own.
    case redisServer = "REENCRYPT_TEST_REDIS_SERVER"
    /// The program, which tests start in front of the server of `postgres`.
    case pgBouncer = "REENCRYPT_TEST_PGBOUNCER"

    package var value: String? {
        ProcessInfo.processInfo.environment[rawValue].flatMap { $0.isEmpty ? nil : $0 }
    }

    package var isThere: Bool { value != nil }

    fileprivate var comment: Comment {
        let what =
            switch self {
            case .postgres: "the address of a private PostgreSQL"
            case .redis: "the address of a private Redis"
            case .redisServer: "the path of redis-server"
            case .pgBouncer: "the path of pgbouncer"
            }
        return "needs \(rawValue): \(what) (scripts/test sets it)"
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips where the service is missing, and names it.
    package static func needs(_ service: Service) -> Self {
        .enabled(if: service.isThere, service.comment)
    }
}
