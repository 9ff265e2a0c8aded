import Testing

@testable import Verification

struct FenceSelectionTests {
    private func select(_ asked: String..., denied: Set<String>, keepsOthers: Bool = true) -> FenceSelection {
        FenceSelection(
            target: "kek-v3", asked: asked, previous: ["kek-v2"], denied: denied, keepsOthers: keepsOthers)
    }

    @Test func whatStandingFencesRefuseStaysOut() {
        let selection = select("kek-v2", denied: ["kek-v1", "kek-v0", "kek-v2"])
        #expect(selection.refused == ["kek-v0", "kek-v1", "kek-v2"])
        #expect(selection.kept == ["kek-v0", "kek-v1"])
        #expect(selection.released.isEmpty && selection.unknown.isEmpty)
    }

    @Test func whatStandingFencesRefuseIsLetInAgainOnRequest() {
        let selection = select("kek-v2", denied: ["kek-v1"], keepsOthers: false)
        #expect(selection.refused == ["kek-v2"])
        #expect(selection.released == ["kek-v1"] && selection.kept.isEmpty)
    }

    @Test func anIDThatNoKeyAndNoFenceHasIsUnknown() {
        #expect(select("kek-v22", "kek-v1", "kek-v2", denied: ["kek-v1"]).unknown == ["kek-v22"])
    }

    /// A fence of that kind is refused before: nobody could write under the target.
    @Test func theTargetIsNeverRefused() {
        #expect(select("kek-v2", denied: ["kek-v3"]).refused == ["kek-v2"])
    }
}
