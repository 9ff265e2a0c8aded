import COpenSSL

/// A Lua script, named for messages. Redis keeps it under the SHA-1 of its source; after a restart or a
/// failover it may have lost it, so the source goes along again where the digest is unknown.
package struct RedisScript: Sendable {
    package let name: String
    package let source: String
    /// Forty hex digits; nil where OpenSSL offers no SHA-1, and then the source is sent each time.
    package let digest: String?

    package init(name: String, source: String) {
        self.name = name
        self.source = source
        self.digest = Self.sha1(Array(source.utf8))
    }

    /// The command that runs it by digest.
    package func invocation(keys: [String], arguments: [RedisArgument]) -> [RedisArgument] {
        guard let digest else { return fullInvocation(keys: keys, arguments: arguments) }
        return [.text("EVALSHA"), .text(digest)] + Self.tail(keys, arguments)
    }

    /// The command that runs it by source.
    package func fullInvocation(keys: [String], arguments: [RedisArgument]) -> [RedisArgument] {
        [.text("EVAL"), .text(source)] + Self.tail(keys, arguments)
    }

    private static func tail(_ keys: [String], _ arguments: [RedisArgument]) -> [RedisArgument] {
        [.integer(keys.count)] + keys.map { .text($0) } + arguments
    }

    private static func sha1(_ bytes: [UInt8]) -> String? {
        var digest = [UInt8](repeating: 0, count: 20)
        guard EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha1(), nil) == 1 else {
            ERR_clear_error()
            return nil
        }
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension RedisSession {
    /// Runs a script by its digest, by its source where the server does not have it.
    /// - Throws: as `command` does. An error inside the script has `mayHaveExecuted`: what it wrote before
    ///   stays.
    package func run(
        _ script: RedisScript, keys: [String], arguments: [RedisArgument] = []
    ) throws(RedisError) -> RedisReply {
        do {
            return try command(script.invocation(keys: keys, arguments: arguments))
        } catch let error where error.answer == .noScript {
            return try command(script.fullInvocation(keys: keys, arguments: arguments))
        }
    }
}
