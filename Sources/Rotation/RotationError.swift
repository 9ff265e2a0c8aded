/// Why a rotation could not run or did not finish. `description` says what to do next.
package struct RotationError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String

        /// Another job leads one of the tables.
        package static let tableIsLed = Code(description: "table is led by another job")
        /// Another coordinator leads the queue.
        package static let queueIsLed = Code(description: "queue is led by another coordinator")
        /// The job on the queue is not one that this process may work on.
        package static let refused = Code(description: "job refused")
        /// Leadership was lost and somebody else took it.
        package static let leadershipLost = Code(description: "leadership lost")
        /// The data holds key ids that are not configured.
        package static let unknownKeys = Code(description: "unknown key ids")
        /// A configured key does not open the values that carry its id.
        package static let wrongKey = Code(description: "wrong key")
        /// Only a person can help: privileges, schema, credentials.
        package static let needsOperator = Code(description: "needs an operator")
        /// Going on would hurt the server.
        package static let serverAtRisk = Code(description: "server at risk")
        /// The database did not come back.
        package static let databaseAway = Code(description: "database away")
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
