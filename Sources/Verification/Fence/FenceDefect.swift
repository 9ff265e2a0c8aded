/// Why a constraint that is called a fence counts for nothing, for people.
package enum FenceDefect: Sendable, Hashable, CustomStringConvertible {
    /// PostgreSQL 18: the server does not check it.
    case notEnforced
    /// Partitions and children that are made later do not have it.
    case notInherited
    /// - Parameter letIn: how many ways to write a value under an id get in, by the ids that it names.
    case otherDefinition(letIn: [String: Int])

    package var description: String {
        switch self {
        case .notEnforced: "it is NOT ENFORCED: PostgreSQL does not check it"
        case .notInherited: "it is NO INHERIT: the table's partitions and children do not have it"
        case .otherDefinition(let letIn):
            if let (id, count) = letIn.sorted(by: { $0.key < $1.key }).first {
                "its definition is not a fence's: values under \(id) get in, in \(count) ways to write them"
            } else {
                "its definition is not a fence's: it refuses nothing that could be relied on"
            }
        }
    }
}
