/// How deep a value is looked into. Each depth includes those before it.
package enum Depth: String, Sendable, Hashable, CaseIterable, Encodable {
    /// The key id that the value carries.
    case labels
    /// The target key alone opens the wrapped DEK.
    case keys
    /// The target key alone opens the value, the data's own tag included.
    case values
}
