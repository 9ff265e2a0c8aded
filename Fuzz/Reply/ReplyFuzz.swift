// Feeds arbitrary bytes to the reader of Redis' answers, as a hostile server would, and holds it to what must be true of
// every input: in whatever portions the bytes come, the same answers are read; an answer is no larger than the bytes that
// made it; every accessor answers or throws. Built by scripts/fuzz.

private func demand(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("\(what)") }
}

private let limit = 64 << 10

/// What became of all bytes: the answers, and whether the reader gave up.
private func read(_ bytes: UnsafeRawBufferPointer, portion: Int) -> (replies: [RedisReply], gaveUp: Bool) {
    var replies: [RedisReply] = []
    do throws(RedisError) {
        let reader = try ReplyReader(limit: limit)
        var rest = bytes[...]
        while !rest.isEmpty {
            try reader.feed(UnsafeRawBufferPointer(rebasing: rest.prefix(portion)))
            rest = rest.dropFirst(portion)
            while let reply = try reader.next() { replies.append(reply) }
        }
    } catch {
        demand(!error.description.isEmpty, "an error without words")
        return (replies, true)
    }
    return (replies, false)
}

/// Elements and bytes of an answer: each took at least a byte.
private func size(_ reply: RedisReply) -> Int {
    switch reply {
    case .string(let bytes): bytes.count
    case .status(let text): text.isEmpty ? 0 : 1
    case .array(let elements): elements.reduce(elements.count) { $0 + size($1) }
    case .integer, .null, .error: 1
    }
}

/// Calls every accessor; each gives a value or throws.
private func touch(_ reply: RedisReply) {
    _ = try? reply.bytes()
    _ = try? reply.text()
    _ = try? reply.integer()
    _ = try? reply.fields()
    for element in (try? reply.elements()) ?? [] { touch(element) }
}

/// One input of libFuzzer; 0 says that it may enter the corpus.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    let whole = read(bytes, portion: max(count, 1))
    demand(whole.replies.reduce(0) { $0 + size($1) } <= count, "an answer is larger than its bytes")
    for reply in whole.replies { touch(reply) }
    for portion in [1, 7] {
        let inPortions = read(bytes, portion: portion)
        demand(inPortions.replies == whole.replies, "portions make another answer")
        demand(inPortions.gaveUp == whole.gaveUp, "portions make another end")
    }
    return 0
}
