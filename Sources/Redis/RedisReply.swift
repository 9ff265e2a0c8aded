/// One answer of the server (RESP2).
package enum RedisReply: Sendable, Equatable {
    case string([UInt8])
    case status(String)
    case integer(Int)
    case array([RedisReply])
    case null
    /// An error among the elements of an array. One that is the whole answer is thrown instead.
    case error(RedisError)
}

/// Each accessor throws `unexpectedAnswer`, naming what came instead, never its content; or the error that
/// stands in the place of the answer.
extension RedisReply {
    package var isNull: Bool { self == .null }

    /// This reply, or nil for null: `try reply.unlessNull?.text()`.
    package var unlessNull: RedisReply? { isNull ? nil : self }

    package func bytes() throws(RedisError) -> [UInt8] {
        switch self {
        case .string(let bytes): return bytes
        case .status(let text): return Array(text.utf8)
        default: throw mismatch("a string")
        }
    }

    /// A string or status that is valid UTF-8. It is not repaired: two keys must not become one.
    package func text() throws(RedisError) -> String {
        switch self {
        case .status(let text): return text
        case .string(let bytes):
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw .unexpected("an answer is no UTF-8")
            }
            return text
        default: throw mismatch("a string")
        }
    }

    /// An integer, or a string that is one in decimal, as the fields of a hash are.
    package func integer() throws(RedisError) -> Int {
        switch self {
        case .integer(let value): return value
        case .string(let bytes):
            guard let value = Int(String(decoding: bytes, as: UTF8.self)) else {
                throw .unexpected("an answer is a string where an integer belongs")
            }
            return value
        default: throw mismatch("an integer")
        }
    }

    package func elements() throws(RedisError) -> [RedisReply] {
        guard case .array(let elements) = self else { throw mismatch("an array") }
        return elements
    }

    /// The fields and values of a hash, which RESP2 sends as one flat array.
    package func fields() throws(RedisError) -> [String: RedisReply] {
        let flat = try elements()
        guard flat.count.isMultiple(of: 2) else { throw .unexpected("a hash has a field without a value") }
        var fields: [String: RedisReply] = [:]
        fields.reserveCapacity(flat.count / 2)
        for index in stride(from: 0, to: flat.count, by: 2) {
            fields[try flat[index].text()] = flat[index + 1]
        }
        return fields
    }

    private func mismatch(_ expected: String) -> RedisError {
        if case .error(let error) = self { return error }
        return .unexpected("an answer is \(shape) where \(expected) belongs")
    }

    private var shape: String {
        switch self {
        case .string: "a string"
        case .status: "a status"
        case .integer: "an integer"
        case .array(let elements): "an array of \(elements.count)"
        case .null: "null"
        case .error: "an error"
        }
    }
}
