/// One word of a command. Redis knows bytes only: texts go as UTF-8, integers in decimal.
package enum RedisArgument: Sendable, Equatable {
    case text(String)
    case integer(Int)
    case bytes([UInt8])
}

extension RedisArgument: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }
}

extension RedisArgument {
    func append(to bytes: inout [UInt8]) {
        switch self {
        case .text(let text): bytes.append(contentsOf: text.utf8)
        case .integer(let value): bytes.append(contentsOf: String(value).utf8)
        case .bytes(let value): bytes.append(contentsOf: value)
        }
    }

    /// Whether it is one of these words, in any case of letters.
    func isWord(in words: Set<String>) -> Bool {
        guard case .text(let text) = self else { return false }
        return words.contains(text.uppercased())
    }
}
