import TestSupport
import Testing

@testable import Verification

struct EnvelopeFragmentsTests {
    private static func quoted(_ text: String, escape: String) -> String {
        "\"" + text.replacing("\\", with: escape == "\\" ? "\\\\" : "\\").replacing("\"", with: escape + "\"")
            + "\""
    }

    private func keyIDs(_ text: String) -> Set<String> { EnvelopeFragments(in: Array(text.utf8)).keyIDs }

    @Test func findsElementsOfAnArray() {
        let elements = ["kek-v1", "kek-v0"].map { Self.quoted(envelope($0), escape: "\\") }
        #expect(keyIDs("{x,\(elements.joined(separator: ",")),NULL,\"\"}") == ["kek-v0", "kek-v1"])
    }

    @Test func findsAFieldOfAComposite() {
        #expect(keyIDs("(1,\"\",\(Self.quoted(envelope(), escape: "\"")))") == ["kek-v1"])
    }

    @Test func findsFieldsInAnArrayOfComposites() {
        let composite = "(1,\(Self.quoted(envelope(), escape: "\"")))"
        #expect(keyIDs("{\(Self.quoted(composite, escape: "\\"))}") == ["kek-v1"])
    }

    @Test func findsBytesInAnArray() {
        #expect(keyIDs("{\"\\\\x\(envelope().utf8.hex)\"}") == ["kek-v1"])
    }

    @Test func findsAnEscapedMember() {
        let escaped = envelope().replacing("dek_wrapped", with: #"\u0064ek_wrapped"#)
        #expect(keyIDs("{\(Self.quoted(escaped, escape: "\\"))}") == ["kek-v1"])
    }

    @Test func findsTheLabelWhereNothingCanBeTakenOut() {
        #expect(keyIDs("RETURN '\(envelope("kek-v7"))'::jsonb;") == ["kek-v7"])
    }

    /// An envelope may have a member of its own that holds another label.
    @Test func theEnvelopeIsAskedAndNotItsParts() {
        let decoy = envelope("kek-v2").dropLast() + #","note":{"key_id":"kek-v1"}}"#
        #expect(keyIDs("{\(Self.quoted(String(decoy), escape: "\\"))}") == ["kek-v2"])
    }

    @Test func codeHasNoLabels() {
        let code = "jsonb_build_object('key_id', 'kek-v1', 'dek_wrapped', d, 'nonce', n, 'ciphertext', c)"
        #expect(keyIDs(code + String(repeating: " ", count: 200)).isEmpty)
        #expect(!EnvelopeLabels.holdEnvelope(Array(code.utf8)))
    }

    @Test(arguments: ["", "\"", "\"\"\"", "\\", "{\"\\", "\\x", "{{{{", "\\x0g"])
    func damagedTextEndsTheSearch(_ end: String) {
        #expect(keyIDs(String(repeating: "x", count: 200) + end).isEmpty)
    }

    @Test func findsConstantsOfAnExpression() {
        let tree =
            "{CONST :constlen -1 :constvalue 7 [ 28 0 0 0 97 -61 99 ]} {CONST :constvalue <>} [ x ] [ 1"
        let constants = tree.utf8.withContiguousStorageIfAvailable {
            NodeTree.constants(in: UnsafeRawBufferPointer($0))
        }
        #expect(constants == [[28, 0, 0, 0, 97, 0xC3, 99]])
        #expect(NodeTree.spelling("dek") == "100 101 107")
    }
}
