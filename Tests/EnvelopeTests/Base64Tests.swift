import Foundation
import TestSupport
import Testing

@testable import Envelope

@Suite("Base64")
struct Base64Tests {
    private func decoded(_ text: String) -> [UInt8]? {
        Array(text.utf8).withUnsafeBytes { text in
            Base64.decodedCount(of: text).map { count in
                [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
                    Base64.decode(text, into: UnsafeMutableRawBufferPointer(bytes))
                    initialized = count
                }
            }
        }
    }

    private func encoded(_ bytes: [UInt8]) -> String {
        var text = [UInt8](repeating: 0, count: Base64.encodedCount(bytes.count))
        bytes.withUnsafeBytes { bytes in text.withUnsafeMutableBytes { Base64.encode(bytes, into: $0) } }
        return String(decoding: text, as: UTF8.self)
    }

    @Test(arguments: 0...200)
    func agreesWithFoundation(_ count: Int) {
        var generator = SeededGenerator(seed: UInt64(count))
        for _ in 0..<5 {
            let bytes = generator.bytes(count)
            let text = Data(bytes).base64EncodedString()
            #expect(encoded(bytes) == text)
            #expect(decoded(text) == bytes)
        }
    }

    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func knownAnswers(_ plain: String, _ text: String) {
        #expect(encoded(Array(plain.utf8)) == text)
        #expect(decoded(text) == Array(plain.utf8))
    }

    /// Every byte at every place of a block: the alphabet has 64 characters and no more.
    @Test func alphabet() {
        let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for byte in UInt8.min...UInt8.max {
            #expect(Base64.isInAlphabet(byte) == alphabet.contains(byte))
            for index in 0..<20 {
                var text = [UInt8](repeating: UInt8(ascii: "A"), count: 20)
                text[index] = byte
                let isPadding = byte == UInt8(ascii: "=") && index == 19
                text.withUnsafeBytes {
                    #expect((Base64.decodedCount(of: $0) != nil) == (alphabet.contains(byte) || isPadding))
                }
            }
        }
    }

    @Test(arguments: [
        "A", "AA", "AAA", "AAAAA", "=", "====", "A===", "AA=A", "=AAA", "AAA=AAAA", "AAAA=", "AA==AA==",
    ])
    func refuses(_ text: String) { #expect(decoded(text) == nil) }

    /// The last character's spare bits are not looked at.
    @Test func spareBits() {
        #expect(decoded("Zh==") == decoded("Zg=="))
        #expect(decoded("Zm9=") == decoded("Zm8="))
    }
}
