import CHiredis

/// hiredis' parser: bytes in, in any portions; replies out. Bounded: a reply of more than `limit` bytes, an
/// array announced with more elements than such a reply can hold, and deep nesting are refused.
final class ReplyReader {
    private let raw: UnsafeMutablePointer<reencrypt_bounded_reader>
    private let parser: UnsafeMutablePointer<redisReader>
    private let limit: Int
    /// Bytes fed that belong to no complete reply yet.
    private var unfinished = 0

    init(limit: Int) throws(RedisError) {
        // Four bytes, `:1\r\n`, are the least that an element takes.
        guard let raw = reencrypt_bounded_reader_create(Int64(max(limit / 4, 1))) else {
            throw RedisError(.connectionFailed, "hiredis could not allocate a reader")
        }
        guard let parser = raw.pointee.reader else {
            reencrypt_bounded_reader_free(raw)
            throw RedisError(.connectionFailed, "hiredis could not allocate a reader")
        }
        self.raw = raw
        self.parser = parser
        self.limit = limit
    }

    deinit {
        reencrypt_bounded_reader_free(raw)
    }

    /// Bytes have come that no command asked for, or an answer is cut off in the middle.
    var holdsBytes: Bool { unfinished > 0 }

    func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisError) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        guard redisReaderFeed(parser, start.assumingMemoryBound(to: CChar.self), bytes.count) == REDIS_OK
        else {
            throw failure()
        }
        unfinished += bytes.count
    }

    /// The next complete reply; nil where more bytes are needed.
    /// - Throws: `replyTooLarge` or `unexpectedAnswer`; the reader is unusable afterwards.
    func next() throws(RedisError) -> RedisReply? {
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(parser, &reply) == REDIS_OK else { throw failure() }
        guard let reply else {
            guard unfinished <= limit else { throw tooLarge }
            return nil
        }
        defer { freeReplyObject(reply) }
        unfinished = parser.pointee.len - parser.pointee.pos
        return try Self.convert(reply.assumingMemoryBound(to: redisReply.self).pointee)
    }

    /// Copies hiredis' tree. Its depth is bounded by the shim, so the recursion is.
    private static func convert(_ reply: redisReply) throws(RedisError) -> RedisReply {
        switch reply.type {
        case REDIS_REPLY_STRING: return .string(Array(content(reply)))
        case REDIS_REPLY_STATUS: return .status(String(decoding: content(reply), as: UTF8.self))
        case REDIS_REPLY_INTEGER: return .integer(Int(reply.integer))
        case REDIS_REPLY_NIL: return .null
        case REDIS_REPLY_ERROR: return .error(.ofAnswer(content(reply)))
        case REDIS_REPLY_ARRAY:
            var elements: [RedisReply] = []
            elements.reserveCapacity(reply.elements)
            for index in 0..<reply.elements {
                guard let element = reply.element?[index] else {
                    throw .unexpected("hiredis left an element of an array empty")
                }
                elements.append(try convert(element.pointee))
            }
            return .array(elements)
        default:
            // The types of RESP3, which nobody asked for.
            throw .unexpected("an answer is of type \(reply.type), which RESP2 does not have")
        }
    }

    private static func content(_ reply: redisReply) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : reply.len)
    }

    private var tooLarge: RedisError {
        RedisError(
            .replyTooLarge, "an answer exceeds \(limit) bytes, or its arrays are nested too deeply",
            mayHaveExecuted: true)
    }

    /// hiredis' own message quotes a byte of the answer; its kind says enough.
    private func failure() -> RedisError {
        if parser.pointee.err == REDIS_ERR_OOM { return tooLarge }
        return .unexpected("the server does not speak Redis' protocol (RESP2); is the port right?")
    }
}
