// Feeds arbitrary bytes to the reader of batch messages, as somebody who may write to Redis would, and holds it to what
// must be true of every input: what is read is written as a message that reads the same. Built by scripts/fuzz.

private func demand(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("\(what)") }
}

/// One input of libFuzzer; 0 says that it may enter the corpus.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = Array(UnsafeRawBufferPointer(start: start, count: count))
    guard let range = try? BatchMessage.range(bytes) else { return 0 }
    guard let body = try? BatchMessage.body(range) else { fatalError("a range cannot be written") }
    let message = "{\"generation\":\"0\",\"sequence\":1," + body
    guard let again = try? BatchMessage.range(Array(message.utf8)) else {
        fatalError("a message of our own cannot be read")
    }
    demand(again == range, "a range is read otherwise than it was written")
    return 0
}
