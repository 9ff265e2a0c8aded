import Foundation
import TestSupport
import Testing

@testable import Envelope

@Suite("The grammar of RFC 8259, tried on an unknown member")
struct JSONGrammarTests {
    private func isAccepted(_ value: String) -> Bool {
        refusal(of: EnvelopeText.make(front: "\"x\":\(value),")) == nil
    }

    @Test(arguments: [
        "0", "-0", "1", "-1", "10", "1.5", "-0.0", "1e5", "1E5", "1e+5", "1e-5", "0e0", "1.25E-10", "true",
        "false",
        "null", "\"\"", "\"a\"", #""\"\\\/\b\f\n\r\t""#, #""\u0041\uD83D\uDD11""#, #""\udead""#, "\"\u{7F}\"",
        "\"\u{2028}\"", "[]", "[ ]", "[1]", "[1,2]", "[[],[]]", "[\n1\t,\r2 ]", "{}", "{ }", "{\"a\":1}",
        "{\"a\":1,\"a\":2}", "{ \"a\" : [ { } ] , \"\" : null }", "[{\"a\":[]},[{}]]",
        "\"\(String(repeating: "x", count: 100))\\n\(String(repeating: "y", count: 15))\u{e9}\"",
    ])
    func accepts(_ value: String) { #expect(isAccepted(value)) }

    @Test(arguments: [
        "", "-", "+1", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "0x1", "1 2", "1a", "Infinity", "NaN",
        "tru",
        "True", "nul", "falsy", "truefalse", "\"", "\"a", "'a'", "\"\t\"", "\"\n\"", "\"\u{0}\"",
        "\"\u{1F}\"",
        #""\x""#, #""\u12""#, #""\u12G4""#, #""\"#, #""\u""#, #""\U0041""#, "[", "]", "[1", "[1,", "[1,]",
        "[,1]",
        "[1 2]", "[1:2]", "[}", "{", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{1:2}", "{\"a\" 1}",
        "{\"a\":1 \"b\":2}", "{a:1}", "{\"a\":1]", "[1}", "[[1]", "//", "/**/1", "1/**/", "\u{A0}1", "\u{B}1",
    ])
    func refuses(_ value: String) { #expect(!isAccepted(value)) }

    /// Random edits of random legal values: Foundation's parser, which is stricter about halves of surrogate
    /// pairs and laxer about one comma, must agree on everything else.
    @Test func agreesWithFoundation() throws {
        let rotation = try Rotation()
        var compared = 0
        for seed in UInt64(1)...400 {
            var generator = SeededGenerator(seed: seed)
            var value = try WrittenEnvelope(
                sealing: generator.bytes(20), with: rotation.writer, using: &generator
            ).bytes
            for _ in 0..<generator.int(1...2) {
                let index = generator.int(0...(value.count - 1))
                switch generator.int(0...3) {
                case 0: value.remove(at: index)
                case 1: value.insert(generator.pick(Array("\"\\{}[]:,0-e. u\u{0}".utf8)), at: index)
                case 2: value[index] = generator.pick(Array("\"\\{}[]:,1+E.\n/".utf8))
                default: value.swapAt(index, generator.int(0...(value.count - 1)))
                }
            }
            let text = String(decoding: value, as: UTF8.self)
            if text.contains("\\ud") || text.contains("\\uD") { continue }
            // Foundation takes a comma behind an array's last element, which RFC 8259 does not have.
            if text.filter({ !$0.isWhitespace }).contains(",]") { continue }
            let code = refusal(of: value)?.code
            let grammar: [EnvelopeError.Code] = [.notJSON, .notUTF8, .trailingBytes]
            let isJSON = code.map { !grammar.contains($0) } ?? true
            let foundation =
                (try? JSONSerialization.jsonObject(with: Data(value), options: .fragmentsAllowed)) != nil
            #expect(isJSON == foundation, "seed \(seed): \(text)")
            compared += 1
        }
        #expect(compared > 100)
    }
}
