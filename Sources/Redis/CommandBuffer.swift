import CHiredis

/// Commands in wire format, one behind the other, as they will be sent.
struct CommandBuffer {
    private(set) var bytes: [UInt8] = []
    /// Where each command ends in `bytes`.
    private(set) var ends: [Int] = []
    /// Whether each command may leave effects behind although it is answered with an error.
    private(set) var keepsEffects: [Bool] = []

    var count: Int { ends.count }

    init() {}

    init(_ commands: some Sequence<[RedisArgument]>) throws(RedisError) {
        for command in commands { try append(command) }
    }

    /// Commands that run others, whose effects stay when a later one fails.
    private static let compound: Set<String> = ["EVAL", "EVALSHA", "FCALL", "EXEC"]

    mutating func append(_ arguments: [RedisArgument]) throws(RedisError) {
        guard let name = arguments.first else { throw RedisError(.invalidSettings, "a command has no words") }
        var content: [UInt8] = []
        var lengths: [Int] = []
        lengths.reserveCapacity(arguments.count)
        for argument in arguments {
            let start = content.count
            argument.append(to: &content)
            lengths.append(content.count - start)
        }
        content.append(0)  // an empty array may have no address, and hiredis computes from it
        try appendFormatted(content, lengths)
        ends.append(bytes.count)
        keepsEffects.append(name.isWord(in: Self.compound))
    }

    private mutating func appendFormatted(_ content: [UInt8], _ lengths: [Int]) throws(RedisError) {
        var formatted: UnsafeMutablePointer<CChar>?
        let length = content.withUnsafeBytes { content in
            var words: [UnsafePointer<CChar>?] = []
            words.reserveCapacity(lengths.count)
            var start = 0
            for length in lengths {
                words.append(content.baseAddress.map { ($0 + start).assumingMemoryBound(to: CChar.self) })
                start += length
            }
            return Int(redisFormatCommandArgv(&formatted, Int32(lengths.count), &words, lengths))
        }
        guard let formatted, length >= 0 else {
            throw RedisError(.unexpectedAnswer, "hiredis could not format a command")
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: formatted, count: length))
        redisFreeCommand(formatted)
    }
}
