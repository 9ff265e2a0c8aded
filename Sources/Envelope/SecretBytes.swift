import COpenSSL

/// Bytes that must not leak: reachable only through a closure, compared in constant time, wiped when the last
/// reference goes, and shown by no description, mirror or debugger summary. They lie in ``SecretMemory``, which no core
/// dump holds.
public final class SecretBytes: @unchecked Sendable {
    // Sendable: both properties are constants, and the memory is written in `init` alone, before any other
    // reference can exist.
    private let start: UnsafeMutableRawPointer
    /// How many bytes there are. Not a secret.
    public let count: Int

    /// Makes `count` zero bytes and has `fill` write into them.
    ///
    /// The memory never moves, so there is no copy to wipe but this one. If `fill` throws, it is wiped.
    ///
    /// - Parameters:
    ///   - count: How many bytes to hold; 0 and below hold none.
    ///   - fill: Writes the bytes; must not let the pointer escape.
    /// - Throws: What `fill` throws.
    public init<Failure: Error>(
        count: Int, filledBy fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        self.count = max(count, 0)
        start = SecretMemory.allocateZeroed(max(count, 1))
        try fill(UnsafeMutableRawBufferPointer(start: start, count: self.count))
    }

    /// Draws `randomCount` bytes from OpenSSL's generator for private values.
    ///
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable`` if it cannot give them.
    public convenience init(randomCount: Int) throws(EnvelopeError) {
        try self.init(count: randomCount) { (bytes) throws(EnvelopeError) in
            try RandomBytes.fillPrivate(bytes)
        }
    }

    deinit { SecretMemory.free(start) }

    /// Lends the bytes to `body`. The pointer is valid only until it returns.
    ///
    /// - Throws: What `body` throws.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: count))
    }
}

extension SecretBytes: Equatable {
    /// Whether both hold the same bytes, in a time that depends on their count alone.
    public static func == (left: SecretBytes, right: SecretBytes) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left.start, right.start, left.count) == 0
    }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The word "secret" and nothing of the bytes.
    public var description: String { "<secret>" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
