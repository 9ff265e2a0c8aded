import Catalog
import Testing

@Suite struct RowPlaceTests {
    @Test func readsWhatTheServerWrites() {
        #expect(RowPlace("(0,1)") == RowPlace(block: 0, offset: 1))
        #expect(RowPlace("(4294967295,65535)") == .last(of: .max))
        #expect(RowPlace.first(of: 12).text == "(12,0)" && RowPlace.last(of: 12).text == "(12,65535)")
        let bytes: [UInt8] = [0, 1, 0, 2, 0, 3]
        #expect(bytes.withUnsafeBytes { RowPlace($0) } == RowPlace(block: 65_538, offset: 3))
    }

    @Test(arguments: [
        "", "(", "()", "(,)", "(1)", "(1,)", "(1,2", "1,2)", "(1,2,3)", "(-1,2)", "(+1,2)", "(1, 2)",
        "(1,65536)",
        "(4294967296,0)", "(0x1,1)", "(1,1); --", "(١,1)", "1",
    ])
    func takesNothingElse(text: String) {
        #expect(RowPlace(text) == nil)
    }
}
