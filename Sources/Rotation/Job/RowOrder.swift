/// In which order the rows of a table are taken.
package enum RowOrder: String, Sendable, CaseIterable {
    /// Leaf by leaf as `OrderChoice` finds best.
    case auto
    /// By the unique index.
    case key
    /// As they are stored.
    case physical
}
