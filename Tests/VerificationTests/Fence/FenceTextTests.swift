import Catalog
import Testing

@testable import Verification

struct FenceTextTests {
    @Test func backslashesMeanTheSameWhateverTheServerIsSetTo() {
        #expect(FenceLiteral.text("it's") == "'it''s'")
        #expect(FenceLiteral.text(#"\u00'"#) == #"E'\\u00'''"#)
        #expect(FenceLiteral.bytes("\u{1}{") == #"E'\\x017b'::bytea"#)
    }

    @Test(arguments: [ColumnType.bytea, .text, .varchar(limit: 10), .json, .jsonb])
    func noConstantDependsOnStandardConformingStrings(type: ColumnType) {
        let sql = FenceExpression(of: "\"c\"", type, retired: ["kek-v1", "a.b"]).sql
        // Outside of E'' constants there is no backslash.
        var rest = sql[...]
        while let quote = rest.firstIndex(of: "'") {
            let isEscape = quote > sql.startIndex && sql[sql.index(before: quote)] == "E"
            let body = rest[rest.index(after: quote)...].prefix { $0 != "'" }
            #expect(isEscape || !body.contains("\\"))
            #expect(!rest[..<quote].contains("\\"))
            rest = sql[sql.index(after: body.endIndex)...]
        }
    }

    @Test func namesFitIntoAnIdentifierAndDiffer() {
        let mark = FenceMark(target: "kek-v2", retired: ["kek-v1"])
        let names = [
            FenceName.constraint(column: "a", mark),
            FenceName.constraint(column: "b", mark),
            FenceName.constraint(
                column: "a", mark, besides: [FenceName.constraint(column: "a", mark), "another"]),
            FenceName.constraint(column: "a", FenceMark(target: "kek-v3", retired: ["kek-v1", "kek-v2"])),
            FenceName.trigger(table: 1, column: "a"), FenceName.trigger(table: 2, column: "a"),
        ]
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0.utf8.count <= 63 })
        #expect(names[0].hasPrefix("reencrypt_fence_retired_key_see_runbook_"))
    }

    @Test func aMarkIsReadBackOrGivenUp() {
        let mark = FenceMark(target: "kek-v2", retired: ["kek-v1", "a.b"])
        #expect(mark.comment == #"{"retired":["a.b","kek-v1"],"target":"kek-v2"}"#)
        #expect(FenceMark(comment: mark.comment) == mark)
        #expect(FenceMark(comment: nil) == nil)
        #expect(FenceMark(comment: "somebody's own words") == nil)
    }

    @Test func aTreeIsLockedForLessThanADeadlockTakesToBeSeen() {
        let lock = FenceLock(timeout: .seconds(2), attempts: 1)
        let single = lock.transaction(["X"], ofSeveralRelations: false)
        #expect(single.first == "BEGIN" && single.last == "COMMIT" && single.contains("X"))
        #expect(single[1] == "SELECT pg_catalog.set_config('lock_timeout', '2000', true)")
        #expect(lock.transaction([], ofSeveralRelations: true)[1].contains("deadlock_timeout"))
    }
}
