/// The YAML that brings findings into a catalog file. It parses as a catalog; what a person has to decide is
/// in comments.
package struct CatalogProposal {
    private let findings: [CoverageFinding]
    private let keys: [Table: TableKey]

    package struct Table: Hashable, Sendable {
        package let schema: String
        package let name: String

        package init(_ finding: CoverageFinding) {
            schema = finding.schema
            name = finding.table
        }
    }

    /// - Parameter keys: of the findings' tables; a table without one is missing.
    package init(_ findings: [CoverageFinding], keys: [Table: TableKey]) {
        self.findings = findings
        self.keys = keys
    }

    /// Empty where there is nothing to propose.
    package var yaml: String {
        let rotatable = findings.filter(\.canBeRotated)
        let others = findings.filter { !$0.canBeRotated }
        return tables(rotatable) + ignored(others)
    }

    private func tables(_ findings: [CoverageFinding]) -> String {
        if findings.isEmpty { return "" }
        var text = "tables:\n"
        for (table, columns) in Self.byTable(findings) {
            text += "  - name: \(YAMLScalar.text(CatalogName.dotted([table.schema, table.name])))\n"
            if columns.contains(where: \.isTableInCatalog) {
                text += "    # the catalog has this table: add the columns to its entry\n"
            }
            if let key = keys[table] {
                // The default is the primary key; a composite one is written out all the same, so that a
                // reader sees what rows are told apart by.
                if !key.isPrimary || key.columns.count > 1 {
                    text += "    id_column: \(YAMLScalar.list(key.columns))\n"
                }
            } else {
                text +=
                    "    # no unique key of NOT NULL columns: add one (CREATE UNIQUE INDEX CONCURRENTLY …) first\n"
            }
            for column in columns where !column.holdsEnvelopes {
                text += "    # \(YAMLScalar.comment(column.column)): no envelope was seen in it\n"
            }
            text += "    encrypted_columns: \(YAMLScalar.list(columns.map(\.column)))\n"
        }
        return text
    }

    /// What cannot be rotated is for a person to decide on, so it stays in a comment.
    private func ignored(_ findings: [CoverageFinding]) -> String {
        if findings.isEmpty { return "" }
        var text = """
            # These cannot be rotated in place. Refresh, rewrite or delete what they hold; list them here only
            # where that is none of this catalog's business:
            # ignore:

            """
        for finding in findings {
            text += "#   - \(YAMLScalar.text(finding.place))  # \(finding.obstacle)\n"
        }
        return text
    }

    private static func byTable(
        _ findings: [CoverageFinding]
    ) -> [(table: Table, columns: [CoverageFinding])] {
        var groups: [(table: Table, columns: [CoverageFinding])] = []
        for finding in findings {
            let table = Table(finding)
            if groups.last?.table == table {
                groups[groups.count - 1].columns.append(finding)
            } else {
                groups.append((table, [finding]))
            }
        }
        return groups
    }
}

extension CoverageFinding {
    fileprivate var holdsEnvelopes: Bool { reason == .envelopes }

    /// Rows of tables, whole values, and types that the catalog takes.
    fileprivate var canBeRotated: Bool {
        guard kind == .table || kind == .partitionedTable, hasRotatableType else { return false }
        return reason == .envelopes || reason == .name
    }

    private var hasRotatableType: Bool {
        let plain = type.prefix { $0 != "(" }
        return !type.hasSuffix("[]")
            && ["bytea", "text", "character varying", "json", "jsonb"].contains(String(plain))
    }

    fileprivate var obstacle: String {
        switch reason {
        case .notLookedAt: "could not be looked at"
        case .embedded: "envelopes inside larger values, or damaged ones"
        case .envelopes where !objects.isEmpty: YAMLScalar.comment(objects.joined(separator: ", "))
        case .envelopes, .name:
            kind == .materialisedView
                ? "a materialised view: rotate the tables it is made of, then REFRESH it"
                : "of type \(YAMLScalar.comment(type))"
        }
    }
}
