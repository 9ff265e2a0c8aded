@testable import Envelope

/// Texts that are envelopes by their shape, and texts that miss by a little. Nothing in them opens.
enum EnvelopeText {
    static let dek = String(repeating: "A", count: 80)
    static let nonce = String(repeating: "B", count: 16)
    static let ciphertext = String(repeating: "C", count: 22) + "=="

    /// An envelope with members replaced or left out (`nil`), or text added in front of or behind them.
    static func make(_ changes: [String: String?] = [:], front: String = "", back: String = "") -> String {
        var members: [(String, String?)] = [
            ("version", "1"), ("alg", "\"AES-256-GCM\""), ("key_id", "\"kek-v1\""),
            ("dek_wrapped", "\"\(dek)\""),
            ("nonce", "\"\(nonce)\""), ("ciphertext", "\"\(ciphertext)\""),
        ]
        for index in members.indices {
            if let change = changes[members[index].0] { members[index].1 = change }
        }
        let list = members.compactMap { name, value in value.map { "\"\(name)\":\($0)" } }
        return "{" + front + list.joined(separator: ",") + back + "}"
    }

    /// An envelope with one member of another value, given as JSON.
    private static func with(_ member: String, _ json: String) -> String { make([member: json]) }

    /// An envelope with one member of another string.
    private static func string(_ member: String, _ text: String) -> String {
        make([member: "\"" + text + "\""])
    }

    /// A nonce that ends in other characters.
    private static func nonce(ending text: String, dropping count: Int) -> String {
        string("nonce", nonce.dropLast(count) + text)
    }

    private static func nested(_ depth: Int) -> String {
        make(
            front: "\"x\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
                + ",")
    }

    static let accepted: [String] = [
        make(), " \t\r\n" + make() + " \n", make(front: "\"x\":{},"), make(back: ",\"x\":[[]]"),
        string("alg", "AES\\u002d256-GCM"), string("key_id", "\\u006bek-v1"),
        string("key_id", String(repeating: "k", count: 64)), string("key_id", "A.z_0-9"),
        string("dek_wrapped", "\\/" + dek.dropFirst()),
        string("nonce", "\\u002F\\u002b" + nonce.dropFirst(2)),
        string("ciphertext", ciphertext.dropLast(2) + "\\u003d="),
        // Bits that the last character has to spare.
        string("ciphertext", String(repeating: "C", count: 21) + "F=="),
        // Duplicates of unknown members, and of the six further down, are not ours to judge.
        make(front: "\"x\":1,\"x\":2,\"y\":{\"key_id\":1,\"key_id\":2},"),
        make(front: "\"\":\"\",\"\\u0000\":\"\\ud800\","), make(front: "\"k\u{e9}y\":\"\u{1F511}\","),
        make().replacing("\"key_id\"", with: "\"key\\u005fid\""),
        nested(127),
    ]

    static let refused: [(EnvelopeError.Code, [String])] = [
        (
            .notJSON,
            ["", " ", "\u{FEFF}" + make(), "sk-live-1", with("version", "01"), with("version", "+1")]
        ),
        (.trailingBytes, [make() + "x", make() + make(), make() + "\u{0}"]),
        (.notAnObject, ["[" + make() + "]", "null", "\"\"", "12"]),
        (.tooDeep, [nested(128), make(front: "\"x\":" + String(repeating: "{\"a\":", count: 5000))]),
        (.missingMember, ["{}", "{\"x\":1}"] + EnvelopeMember.allCases.map { make([$0.rawValue: nil]) }),
        (
            .duplicateMember,
            [
                make(back: ",\"key_id\":\"kek-v1\""), make(back: ",\"version\":1"),
                make(back: ",\"alg\":\"AES-256-GCM\""), make(back: ",\"n\\u006fnce\":\"\""),
                make(back: ",\"ciphertext\":null"), make(back: ",\"dek_wrapped\":{}"),
            ]
        ),
        (
            .wrongType,
            ["1.0", "1e0", "\"1\"", "true", "null", "[1]"].map { with("version", $0) }
                + ["alg", "key_id", "dek_wrapped", "nonce", "ciphertext"].flatMap { member in
                    ["1", "null", "{}", "[\"\"]"].map { with(member, $0) }
                }
        ),
        (
            .unsupportedVersion,
            ["2", "-1", "0", "-0", "10", "99999999999999999999999"].map { with("version", $0) }
        ),
        (
            .unsupportedAlgorithm,
            ["aes-256-gcm", "", "AES-256-GC", "AES-256-GCM\\u0000"].map { string("alg", $0) }
        ),
        (
            .invalidKeyID,
            [
                "", "kek v1", "k\u{e9}k", "kek\\u00e9", "kek\\n", "kek\\ud83d\\udd11",
                String(repeating: "k", count: 65), String(repeating: "\\u006b", count: 65),
            ].map { string("key_id", $0) }
        ),
        (
            .wrongSize,
            [
                string("dek_wrapped", dek + "AAAA"), string("dek_wrapped", ""),
                string("dek_wrapped", dek.dropLast(4) + "AAA="), nonce(ending: "AA==", dropping: 4),
                string("ciphertext", String(repeating: "C", count: 20)), string("ciphertext", ""),
                string("ciphertext", "\\u0041AAA"),
            ]
        ),
        (
            .notBase64,
            [
                nonce(ending: "", dropping: 1), nonce(ending: "-", dropping: 1),
                nonce(ending: "_", dropping: 1),
                nonce(ending: " ", dropping: 1), nonce(ending: "\\n", dropping: 1),
                nonce(ending: "\u{e9}", dropping: 1),
                nonce(ending: "A===", dropping: 4), nonce(ending: "====", dropping: 4),
                nonce(ending: "==AA", dropping: 4), nonce(ending: "=A", dropping: 2),
                nonce(ending: "\\u003dA", dropping: 2), nonce(ending: "A\\u003d==", dropping: 4),
                string("nonce", "===="), string("nonce", "="),
            ]
        ),
    ]
}
