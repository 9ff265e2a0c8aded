import Catalog
import FoundationEssentials
import Postgres

/// Asks the server's planner about an expression, and runs nothing.
///
/// EXPLAIN needs no right to write, works in a snapshot and on a standby, and shows an expression as the planner has
/// simplified it. What two texts mean the same is shown the same, whichever version of the server wrote them down. The
/// planner computes calls of IMMUTABLE functions over constants and no others: an expression that somebody has made by
/// hand runs no code of his here, provided that it uses the server's own functions alone.
struct FencePlanner {
    let session: PostgresSession

    /// What stands in the select lists of statements `SELECT … FROM …`, one after the other.
    func outputs(of statements: [String]) throws -> [[String]] {
        if statements.isEmpty { return [] }
        var none = QueryParameters()
        for statement in statements {
            try session.send("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) \(statement)", &none)
        }
        try session.submit()
        return try session.collect().map { result in
            let plans = try JSONDecoder().decode([Explained].self, from: Data(try result.text(0, 0).utf8))
            guard let output = plans.first?.plan.innermost.output else {
                throw PostgresError(.unexpectedAnswer, "a plan shows no output")
            }
            return output
        }
    }

    private struct Explained: Decodable {
        let plan: Plan

        enum CodingKeys: String, CodingKey {
            case plan = "Plan"
        }
    }

    private struct Plan: Decodable {
        let output: [String]
        let plans: [Plan]?

        /// Below what a server may put on top of every plan, such as `debug_parallel_query` does.
        var innermost: Plan { plans?.first?.innermost ?? self }

        enum CodingKeys: String, CodingKey {
            case output = "Output"
            case plans = "Plans"
        }
    }
}
