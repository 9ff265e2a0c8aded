import Testing

@testable import Redis

@Suite struct RedisReplyTests {
    private static let wire =
        "+OK\r\n:42\r\n:-7\r\n$5\r\nhe\r\nl\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n"
        + "*4\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n-WRONGTYPE no\r\n+fine\r\n-ERR last\r\n"

    private static let replies: [RedisReply] = [
        .status("OK"), .integer(42), .integer(-7), .string(Array("he\r\nl".utf8)), .string([]), .null, .null,
        .array([]),
        .array([
            .integer(1), .array([.string([0x61]), .null]), .error(RedisReplyTests.error("WRONGTYPE no")),
            .status("fine"),
        ]),
        .error(RedisReplyTests.error("ERR last")),
    ]

    /// As the reader makes it; file and line are part of an error.
    private static func error(_ text: String) -> RedisError {
        guard let reply = try? parse("-\(text)\r\n", portion: 1000, limit: 1 << 20).first,
            case .error(let error) = reply
        else { return RedisError(.unexpectedAnswer, "") }
        return error
    }

    private static func parse(_ wire: String, portion: Int, limit: Int) throws -> [RedisReply] {
        let reader = try ReplyReader(limit: limit)
        var replies: [RedisReply] = []
        var rest = Array(wire.utf8)[...]
        while !rest.isEmpty {
            try Array(rest.prefix(portion)).withUnsafeBytes { try reader.feed($0) }
            rest = rest.dropFirst(portion)
            while let reply = try reader.next() { replies.append(reply) }
        }
        #expect(!reader.holdsBytes)
        return replies
    }

    @Test(arguments: [1, 2, 3, 7, 1000]) func repliesMayComeInAnyPortions(_ portion: Int) throws {
        #expect(try Self.parse(Self.wire, portion: portion, limit: 1 << 20) == Self.replies)
    }

    @Test func aReplyLargerThanTheLimitIsRefused() throws {
        let reader = try ReplyReader(limit: 1000)
        try Array("$536870912\r\n".utf8).withUnsafeBytes { try reader.feed($0) }
        #expect(try reader.next() == nil)
        try [UInt8](repeating: 1, count: 1000).withUnsafeBytes { try reader.feed($0) }
        let error = try #require(throws: RedisError.self) { try reader.next() }
        #expect(error.code == .replyTooLarge)
        #expect(error.mayHaveExecuted)
    }

    @Test func theLimitIsForOneReply() throws {
        let reader = try ReplyReader(limit: 100)
        for _ in 0..<100 {
            try Array("$50\r\n\(String(repeating: "x", count: 50))\r\n+O".utf8).withUnsafeBytes {
                try reader.feed($0)
            }
            #expect(try reader.next() != nil)
            try Array("K\r\n".utf8).withUnsafeBytes { try reader.feed($0) }
            #expect(try reader.next() == .status("OK"))
        }
    }

    /// Without a bound hiredis allocates eight bytes an element when it has read the header.
    @Test(arguments: [
        "*2000000000\r\n", "*4294967297\r\n", "*1000\r\n", "*1\r\n*999999999\r\n",
        String(repeating: "*1\r\n", count: 9),
    ])
    func anArrayThatCannotFitIsRefusedByItsHeader(_ wire: String) throws {
        let reader = try ReplyReader(limit: 1000)
        try Array(wire.utf8).withUnsafeBytes { try reader.feed($0) }
        let error = try #require(throws: RedisError.self) { try reader.next() }
        #expect(error.code == .replyTooLarge || error.code == .unexpectedAnswer)
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", "\u{15}\u{3}\u{1}", "*-2\r\n", ":12x\r\n", "$-5\r\n", "$x\r\n",
    ])
    func whatIsNoRESPIsRefused(_ wire: String) throws {
        let reader = try ReplyReader(limit: 1 << 20)
        try Array(wire.utf8).withUnsafeBytes { try reader.feed($0) }
        let error = try #require(throws: RedisError.self) { try reader.next() }
        #expect(error.code == .unexpectedAnswer)
    }

    @Test func repliesAreReadAsTheTypeThatIsAskedFor() throws {
        #expect(try RedisReply.string(Array("é".utf8)).text() == "é")
        #expect(try RedisReply.status("OK").text() == "OK")
        #expect(try RedisReply.string(Array("-12".utf8)).integer() == -12)
        #expect(try RedisReply.null.unlessNull?.text() == nil)
        let hash = RedisReply.array([.string([0x61]), .integer(1), .status("b"), .null])
        #expect(try hash.fields() == ["a": .integer(1), "b": .null])
        #expect(throws: RedisError.self) { try RedisReply.string([0xFF]).text() }
        #expect(throws: RedisError.self) { try RedisReply.string([0x78]).integer() }
        #expect(throws: RedisError.self) { try RedisReply.array([.integer(1)]).fields() }
        let error = try #require(throws: RedisError.self) { try RedisReply.null.elements() }
        #expect(error.message == "an answer is null where an array belongs")
        let nested = try #require(throws: RedisError.self) { try Self.replies[9].text() }
        #expect(nested.answer == .general)
    }

    @Test func commandsAreWrittenInWireFormat() throws {
        let buffer = try CommandBuffer([
            ["SET", .text("é"), .bytes([0, 13, 10])], ["GET", ""], ["INCRBY", "x", -3],
        ])
        let expected =
            "*3\r\n$3\r\nSET\r\n$2\r\né\r\n$3\r\n\0\r\n\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
            + "*3\r\n$6\r\nINCRBY\r\n$1\r\nx\r\n$2\r\n-3\r\n"
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == expected)
        #expect(buffer.ends.last == buffer.bytes.count)
        #expect(throws: RedisError.self) { try CommandBuffer([[]]) }
    }

    @Test func aScriptsDigestIsItsSHA1() {
        #expect(
            RedisScript(name: "one", source: "return 1").digest == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
    }
}
