import Testing

@testable import Catalog
@testable import Verification

@Suite struct CatalogProposalTests {
    private func finding(
        _ schema: String, _ table: String, _ column: String, type: String = "bytea",
        kind: CoverageFinding.Kind = .table, reason: CoverageFinding.Reason = .envelopes
    ) -> CoverageFinding {
        CoverageFinding(
            schema: schema, table: table, column: column, type: type, kind: kind, reason: reason)
    }

    @Test func namesOfAnyKindAreReadBack() throws {
        let names = [
            "plain", "Odd Name", "ta\"ble", "dotted.name", "no", "null", "1st", "back\\slash", "ünïcode",
            "a:b",
            "# hash", "new\nline", "tab\t", "e\u{301}", "\u{202E}rtl", "{curly}", "comma,", "'", "-", "~",
            "a'b\"c.d",
            "\u{85}", "\u{A0}nbsp",
        ]
        for name in names {
            let findings = [finding(name, name, name), finding(name, name, name + "2")]
            let keys = [CatalogProposal.Table(findings[0]): TableKey(columns: [name, "id"], isPrimary: true)]
            let yaml = CatalogProposal(findings, keys: keys).yaml
            let entry = try #require(try CatalogFile(yaml: yaml, path: "proposal").entries.first)
            #expect(entry.tableName == TableName(schema: name, name: name))
            #expect(entry.idColumns == [name, "id"])
            #expect(entry.encryptedColumns == [name, name + "2"])
        }
    }

    @Test func aSinglePrimaryKeyIsTheDefault() {
        let findings = [finding("public", "users", "secret_encrypted")]
        let keys = [CatalogProposal.Table(findings[0]): TableKey(columns: ["id"], isPrimary: true)]
        #expect(
            CatalogProposal(findings, keys: keys).yaml == """
                tables:
                  - name: public.users
                    encrypted_columns: [secret_encrypted]

                """)
    }

    @Test func aTableWithoutAKeyIsNoted() throws {
        let yaml = CatalogProposal([finding("public", "log", "secret")], keys: [:]).yaml
        #expect(yaml.contains("# no unique key"))
        _ = try CatalogFile(yaml: yaml, path: "proposal")
    }

    @Test func whatCannotBeRotatedIsLeftToAPerson() {
        let yaml = CatalogProposal(
            [
                finding("public", "audit", "row", type: "jsonb", reason: .embedded),
                finding("public", "copy\nname", "secret", kind: .materialisedView),
                finding("public", "list", "x_encrypted", type: "text[]", reason: .name),
                finding("public", "hidden", "x", reason: .notLookedAt("permission denied")),
            ], keys: [:]
        ).yaml
        #expect(!yaml.contains("tables:"))
        #expect(yaml.split(separator: "\n").allSatisfy { $0.hasPrefix("#") })
        #expect(yaml.contains("public.audit.row"))
    }

    @Test func placesAreReadBackAsIgnored() throws {
        for name in ["plain", "Odd Name", "ta\"ble", "dotted.name"] {
            let found = finding(name, name, name)
            #expect(try QualifiedColumn(parsing: found.place) == found.qualifiedColumn)
        }
    }
}
