/// Records by table, column and label, as one snapshot of the database shows them.
package struct Census: Sendable, Hashable {
    package struct Group: Sendable, Hashable {
        package let table: String
        package let column: String
        package let label: Label

        package init(table: String, column: String, label: Label) {
            self.table = table
            self.column = column
            self.label = label
        }
    }

    /// What a value claims to be.
    package enum Label: Sendable, Hashable, Comparable {
        /// An envelope under this key id, by its label: whether the key opens it is another question.
        case key(String)
        /// A value that is no envelope.
        case unreadable

        package var keyID: String? {
            if case .key(let id) = self { return id }
            return nil
        }
    }

    package private(set) var records: [Group: Int] = [:]
    /// NULLs are no records; they are counted apart.
    package private(set) var nulls: [Group: Int] = [:]

    package init() {}

    package mutating func add(_ count: Int, table: String, column: String, label: Label) {
        records[Group(table: table, column: column, label: label), default: 0] += count
    }

    package mutating func addNulls(_ count: Int, table: String, column: String) {
        nulls[Group(table: table, column: column, label: .unreadable), default: 0] += count
    }

    package var totalRecords: Int { records.values.reduce(0, +) }

    /// Everything that is not under the target, unreadable values included.
    package func oldRecords(target: String) -> Int {
        records.reduce(0) { $1.key.label == .key(target) ? $0 : $0 + $1.value }
    }

    package func oldRecords(target: String, table: String) -> Int {
        records.reduce(0) {
            $1.key.table != table || $1.key.label == .key(target) ? $0 : $0 + $1.value
        }
    }

    package var keyIDs: Set<String> { Set(records.keys.compactMap(\.label.keyID)) }

    /// The groups in a steady order: by table and column as first met in `tables`, then by label.
    package func sortedGroups() -> [(group: Group, records: Int)] {
        records.map { (group: $0.key, records: $0.value) }.sorted { left, right in
            (left.group.table, left.group.column, left.group.label)
                < (right.group.table, right.group.column, right.group.label)
        }
    }
}
