import Catalog

/// How the counts of a pass become an outcome.
extension VerificationOutcome {
    mutating func take(_ found: Census) {
        census = found.sortedGroups().map {
            CensusGroup(
                table: $0.group.table, column: $0.group.column, keyID: $0.group.label.keyID,
                records: $0.records)
        }
        nulls = found.nulls.map {
            CensusGroup(table: $0.key.table, column: $0.key.column, keyID: nil, records: $0.value)
        }.sorted { ($0.table, $0.column) < ($1.table, $1.column) }
    }

    /// A full pass at a depth is a census by itself: every value was parsed.
    mutating func take(_ tallies: [LaneTally], _ work: DepthWork) {
        var found = Census()
        for tally in tallies {
            for (leaf, columns) in zip(work.dispenser.leaves, tally.columns) {
                for (column, counts) in zip(leaf.table.columns, columns) {
                    let (table, column) = (leaf.table.name, column.name)
                    let current = counts.good + counts.unopened
                    if current > 0 {
                        found.add(current, table: table, column: column, label: .key(targetKeyID))
                    }
                    for (keyID, records) in counts.others {
                        let label = keyID.map { Census.Label.key($0) } ?? .unreadable
                        found.add(records, table: table, column: column, label: label)
                    }
                    if counts.nulls > 0 { found.addNulls(counts.nulls, table: table, column: column) }
                }
            }
        }
        take(found)
    }

    /// Takes over what a later pass found, and where it stood in time.
    mutating func replaceFindings(by later: VerificationOutcome) {
        database = later.database
        sample = later.sample
        census = later.census
        nulls = later.nulls
        failures = later.failures
        unopenedRecords = later.unopenedRecords
        duplicates = later.duplicates
        fencedKeyIDs = later.fencedKeyIDs
        pendingDefinitions = later.pendingDefinitions
        snapshotHeldSeconds += later.snapshotHeldSeconds
    }
}

extension LaneTally {
    var records: Int {
        columns.joined().reduce(0) { $0 + $1.good + $1.unopened + $1.others.values.reduce(0, +) }
    }

    var unopened: Int { columns.joined().reduce(0) { $0 + $1.unopened } }
}

extension VerificationOutcome.DuplicateSearch {
    /// How many groups are listed.
    private static let listed = 1_000

    mutating func take(_ suspects: [LaneTally.Suspect]) {
        struct Value: Hashable {
            let nonce: UInt64
            let hash: Int
        }
        let groups = Dictionary(grouping: suspects) { Value(nonce: $0.nonce, hash: $0.valueHash) }
        let copies = groups.values.filter { $0.count > 1 }.map { $0.map(\.place).sorted() }
        foundTotal = copies.count
        found = copies.sorted { ($0.first ?? "") < ($1.first ?? "") }.prefix(Self.listed)
            .map { VerificationOutcome.Duplicate(places: $0) }
    }
}
