/// What a look outside the catalog found.
package struct Coverage: Sendable, Hashable {
    /// Large objects: how many were looked at, and how many there are.
    package struct LargeObjects: Sendable, Hashable {
        package let looked: Int
        package let all: Int
    }

    /// By schema, table and column.
    package let findings: [CoverageFinding]
    /// Tables of other servers, `schema.table`: what they hold is a matter of those servers.
    package let foreignTables: [String]
    /// How much was looked at.
    package let relations: Int
    package let columns: Int
    /// What the catalog lists under `ignore:`, in its order.
    package let ignored: [IgnoredColumn]
    package var largeObjects: LargeObjects?
    /// The other databases of the server, which this look did not reach.
    package var otherDatabases: [String] = []

    package init(
        findings: [CoverageFinding], foreignTables: [String], relations: Int, columns: Int,
        ignored: [IgnoredColumn] = []
    ) {
        self.ignored = ignored
        self.findings = findings
        self.foreignTables = foreignTables
        self.relations = relations
        self.columns = columns
    }

    /// What speaks against a verdict, a sentence each: every finding. A column that nobody could look at may
    /// hold anything, so it speaks against it as well; a table of such columns is one sentence.
    package var problems: [String] {
        var sentences: [String] = []
        var unseen: [(table: String, why: String, columns: [String])] = []
        for finding in findings {
            guard case .notLookedAt(let why) = finding.reason, finding.objects.isEmpty else {
                sentences.append(finding.sentence)
                continue
            }
            let table = CatalogName.dotted([finding.schema, finding.table])
            if unseen.last?.table == table, unseen.last?.why == why {
                unseen[unseen.count - 1].columns.append(finding.column)
            } else {
                unseen.append((table, why, [finding.column]))
            }
        }
        return sentences
            + unseen.map { table, why, columns in
                "\(table) (\(columns.joined(separator: ", "))) could not be looked at: \(why)."
            }
    }
}
