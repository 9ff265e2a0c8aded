package import Catalog

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

        package static func == (left: Group, right: Group) -> Bool {
            left.label == right.label && StoredName(left.column) == StoredName(right.column)
                && StoredName(left.table) == StoredName(right.table)
        }

        package func hash(into hasher: inout Hasher) {
            hasher.combine(StoredName(table))
            hasher.combine(StoredName(column))
            hasher.combine(label)
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

    /// A stretch of a leaf, by its oid and its first block, as the census read it.
    package struct Place: Sendable, Hashable {
        package let leaf: UInt32
        package let blocks: Range<Int>
    }

    package private(set) var records: [Group: Int] = [:]
    /// Where the first records of each group were met: samples are taken there, without another scan.
    package private(set) var places: [Group: [Place]] = [:]
    private static let placesKept = 8
    /// NULLs are no records; they are counted apart.
    package private(set) var nulls: [Group: Int] = [:]

    package init() {}

    package mutating func add(
        _ count: Int, table: String, column: String, label: Label, at place: Place? = nil
    ) {
        let group = Group(table: table, column: column, label: label)
        records[group, default: 0] += count
        guard let place else { return }
        let known = places[group, default: []]
        if known.count < Self.placesKept, known.last != place { places[group] = known + [place] }
    }

    package mutating func addNulls(_ count: Int, table: String, column: String) {
        nulls[Group(table: table, column: column, label: .unreadable), default: 0] += count
    }

    /// Adds what another part of the same snapshot holds.
    package mutating func merge(_ other: Census) {
        records.merge(other.records, uniquingKeysWith: +)
        nulls.merge(other.nulls, uniquingKeysWith: +)
        places.merge(other.places) { Array(($0 + $1).prefix(Self.placesKept)) }
    }

    package var totalRecords: Int { records.values.reduce(0, +) }

    /// Everything that is not under the target, unreadable values included.
    package func oldRecords(target: String) -> Int {
        records.reduce(0) { $1.key.label == .key(target) ? $0 : $0 + $1.value }
    }

    /// The same of one table.
    package func oldRecords(of table: StoredName, target: String) -> Int {
        records.reduce(0) {
            $1.key.label == .key(target) || StoredName($1.key.table) != table ? $0 : $0 + $1.value
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
