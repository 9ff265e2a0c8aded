import Postgres
import TestSupport
import Testing

extension Trait where Self == ConditionTrait {
    /// Skips where the server knows of the collation provider `unicode` alone.
    static var needsICU: Self {
        .enabled("this PostgreSQL is built without ICU") {
            guard Service.postgres.isThere else { return false }
            return try await TestDatabase.withSession { session in
                try session.query("SELECT count(*) > 1 FROM pg_collation WHERE collprovider = 'i'").flag(0, 0)
            }
        }
    }
}
