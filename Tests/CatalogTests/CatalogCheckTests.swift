import Testing

@testable import Catalog

@Suite struct CatalogCheckTests {
    @Test func rendersTablesAndProblems() {
        let id = IDColumn(name: "id", type: "uuid", collation: nil)
        let leaf = Leaf(oid: 1, schema: "public", name: "a", rangeColumns: [id], updateHooks: [])
        let table = EncryptedTable(
            name: "a",
            identity: TableIdentity(
                tableName: TableName(schema: nil, name: "a"), columnNames: ["x", "y"], rootOID: 1, members: []
            ),
            oid: 1, lockOID: 1, idColumns: [id],
            columns: [
                EncryptedColumn(name: "x", type: .bytea),
                EncryptedColumn(name: "y", type: .varchar(limit: 400)),
            ], leaves: [leaf, leaf])
        let text = CatalogCheck.text(
            names: ["a", "b", "c"], tables: [table],
            problems: [
                CatalogProblem(.warn, table: "a", "a trigger runs", mend: "look at it"),
                CatalogProblem(
                    .refuse, table: "b", column: "z", "there is no such column", mend: "correct it"),
                CatalogProblem(.refuse, table: nil, "it is a standby", mend: "use the primary"),
            ])
        #expect(
            text == """
                refused: server: it is a standby
                  mend: use the primary
                OK       a: 2 relations; id id (uuid); encrypted x (bytea), y (varchar(400))
                  warning: a trigger runs
                    mend: look at it
                REFUSED  b
                  refused: column z: there is no such column
                    mend: correct it
                UNKNOWN  c: it was not looked at

                """)
    }

    @Test func problemsDescribeThemselves() {
        let problem = CatalogProblem(
            .refuse, table: "b", column: "z", "there is no such column", mend: "correct it")
        #expect(problem.description == "table b: column z: there is no such column; correct it")
        #expect(CatalogProblem(.warn, table: nil, "slow", mend: "wait").description == "slow; wait")
    }

    @Test func suggestsTheClosestNames() {
        let names = NameSuggestion.closest(
            to: "Provider", among: ["users", "providers", "provider_keys", ""])
        #expect(names == ["providers", "provider_keys", "users", ""])
        #expect(NameSuggestion.closest(to: "", among: ["b", "a"], limit: 1) == ["a"])
    }
}
