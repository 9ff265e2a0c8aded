import Metrics
package import Postgres
package import Redis

/// Counts what cost a connection: one that did not come about, broke, or was not answered in time; a server that
/// starts, stops or is none that can serve us.
package struct ConnectionErrors: Sendable {
    package enum Server: String, Sendable, CaseIterable {
        case postgres
        case redis
    }

    private let counters: Labelled<Server, Counter>

    init(_ name: String, _ factory: any MetricsFactory) {
        counters = Labelled("server") { Counter(label: name, dimensions: $0, factory: factory) }
    }

    package func note(_ error: PostgresError) {
        if error.breaksConnection { counters[.postgres]?.increment() }
    }

    package func note(_ error: RedisError) {
        if error.breaksConnection { counters[.redis]?.increment() }
    }
}
