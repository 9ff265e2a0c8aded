import Catalog

/// Which key ids a new fence refuses, and how it came to that.
package struct FenceSelection: Sendable {
    package let target: String
    /// All that it refuses, sorted.
    package let refused: [String]
    /// Those among them that nobody asked for: a fence that stands refuses them, and they stay out.
    package let kept: [String]
    /// Ids that a fence refuses now, and that the new one lets in again.
    package let released: [String]
    /// Ids that are no previous key's and that no fence refuses: where no value is under them either, a slip of the
    /// pen looks just like this.
    package let unknown: [String]

    /// - Parameters:
    ///   - asked: the ids that are to be refused, at least one, without the target's.
    ///   - previous: the ids of the previous keys.
    ///   - denied: the ids that constraints on the catalog's tables deny.
    ///   - keepsOthers: a fence that takes another's place refuses its ids too.
    package init(
        target: String, asked: [String], previous: [String], denied: Set<String>, keepsOthers: Bool
    ) {
        let others = denied.subtracting(asked).subtracting([target]).sorted()
        self.target = target
        kept = keepsOthers ? others : []
        released = keepsOthers ? [] : others
        refused = Set(asked + kept).sorted()
        unknown = Set(asked).subtracting(previous).subtracting(denied).sorted()
    }
}

extension FenceInspection {
    /// The ids that any constraint on the catalog's columns denies.
    package var denied: Set<String> {
        let columns = Set(table.columns.map { StoredName($0.name) })
        return fences.filter { columns.contains(StoredName($0.column)) }
            .reduce(into: []) { $0.formUnion($1.denied) }
    }
}
