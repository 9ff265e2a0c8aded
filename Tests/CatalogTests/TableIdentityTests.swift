import Testing

@testable import Catalog

@Suite("Two looks at a name are the same only if nothing has moved")
struct TableIdentityTests {
    private func member(
        _ oid: UInt32, name: String = "t", columns: String = "2/17", parents: String = "",
        fileNode: UInt32 = 1,
        constraints: String = ""
    ) -> TableIdentity.Member {
        TableIdentity.Member(
            oid: oid, schema: "public", name: name, kind: "rp", columns: columns, parents: parents,
            fileNode: fileNode, constraints: constraints)
    }

    private func identity(_ members: TableIdentity.Member..., root: UInt32 = 10) -> TableIdentity {
        TableIdentity(
            tableName: TableName(schema: nil, name: "t"), columnNames: ["a"], rootOID: root, members: members)
    }

    @Test func theSameTableIsTheSame() {
        #expect(identity(member(10)).change(to: identity(member(10))) == nil)
    }

    @Test func aRewriteIsSeenAndLeavesTheObjectsAsTheyAre() {
        let (before, after) = (identity(member(10)), identity(member(10, fileNode: 2)))
        #expect(before.change(to: after) == "public.t was rewritten")
        #expect(before.objects.change(to: after.objects) == nil)
    }

    @Test func aConstraintIsSeenAndLeavesTheObjectsAsTheyAre() {
        let (before, after) = (identity(member(10)), identity(member(10, constraints: "7/true")))
        #expect(before.change(to: after) == "a constraint of public.t has changed")
        #expect(before.objects.change(to: after.objects) == nil)
    }

    @Test func aNameThatLeadsElsewhereIsSeen() {
        let other = identity(member(11), root: 11)
        #expect(identity(member(10)).objects.change(to: other.objects)?.contains("another table") == true)
        #expect(identity(member(10)).change(to: nil) == "its name leads to no table any more")
    }

    @Test func aColumnThatWasMadeAgainIsSeen() {
        let change = identity(member(10)).objects.change(to: identity(member(10, columns: "3/17")).objects)
        #expect(change?.contains("encrypted column of public.t") == true)
    }

    @Test func partsThatComeAndGoAreSeen() {
        let (one, two) = (
            identity(member(10)), identity(member(10), member(12, name: "p", parents: "10/false"))
        )
        #expect(one.objects.change(to: two.objects) == "public.p was attached")
        #expect(two.objects.change(to: one.objects) == "public.p was detached or dropped")
        let detaching = identity(member(10), member(12, name: "p", parents: "10/true"))
        #expect(two.objects.change(to: detaching.objects) == "public.p has other parents now")
        let renamed = identity(member(10), member(12, name: "q", parents: "10/false"))
        #expect(two.objects.change(to: renamed.objects) == "public.p is called public.q now")
    }
}
