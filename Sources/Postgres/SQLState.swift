/// A five-character SQLSTATE as the server sent it. Policies compare these, never a message's text.
/// Source: PostgreSQL manual, appendix A.
package struct SQLState: Hashable, Sendable, CustomStringConvertible {
    package let code: String

    package init(_ code: String) {
        self.code = code
    }

    /// The first two characters, which name the class.
    package var classCode: Substring { code.prefix(2) }
    package var description: String { code }

    package static let queryCanceled = SQLState("57014")
    package static let lockNotAvailable = SQLState("55P03")
    package static let objectInUse = SQLState("55006")
    package static let readOnlyTransaction = SQLState("25006")
    package static let idleInTransactionTimeout = SQLState("25P03")
    package static let objectNotInPrerequisiteState = SQLState("55000")
    package static let undefinedTable = SQLState("42P01")
    package static let undefinedObject = SQLState("42704")
    package static let insufficientPrivilege = SQLState("42501")

    /// The same statement may succeed later: connection, rollback, resources, operator's intervention,
    /// system errors, a lock held by somebody else.
    package var isRetriable: Bool {
        switch classCode {
        case "08", "40", "53", "58": true
        case "57": self != .queryCanceled
        default:
            self == .readOnlyTransaction || self == .idleInTransactionTimeout || self == .objectInUse
                || self == .lockNotAvailable
        }
    }

    /// The primary message of such an error may hold what a row or a user's function says: data that does not
    /// convert (but for "value too long", which quotes nothing), RAISE, and states that PostgreSQL does not know.
    package var mayQuoteValues: Bool {
        let known: Set<Substring> = [
            "08", "0A", "0L", "23", "25", "26", "28", "2B", "2D", "34", "3B", "3D", "3F", "40", "42", "44",
            "53",
            "54", "55", "57", "58",
        ]
        return self != SQLState("22001") && !known.contains(classCode)
    }

    /// No row is at fault and waiting does not help: a person has to change privileges, the schema, the
    /// credentials or the table's replica identity first.
    package var needsOperator: Bool {
        switch classCode {
        case "0A", "26", "28", "3D", "42": true
        default: self == .objectNotInPrerequisiteState
        }
    }
}
