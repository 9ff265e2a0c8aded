/// Random nonces, drawn many at a time: a call of the generator for each would cost more than all else in a
/// rewrap.
///
/// Each is handed out once. A process that forks would hand out the same ones twice: a pool is not for use on
/// both sides of a fork.
final class NoncePool {
    private let start: UnsafeMutableRawPointer
    private let capacity: Int
    private var left = 0

    /// A pool that draws `capacity` nonces at a time.
    init(capacity: Int = 341) {
        self.capacity = max(capacity, 1)
        start = .allocate(byteCount: self.capacity * AESGCM.nonceCount, alignment: 16)
        start.initializeMemory(as: UInt8.self, repeating: 0, count: self.capacity * AESGCM.nonceCount)
    }

    deinit { start.deallocate() }

    /// A nonce that was not handed out before. The pointer is valid until the next call.
    ///
    /// - Throws: ``EnvelopeError/Code/cryptoUnavailable``.
    func next() throws(EnvelopeError) -> UnsafeRawPointer {
        if left == 0 {
            try RandomBytes.fillPublic(
                UnsafeMutableRawBufferPointer(start: start, count: capacity * AESGCM.nonceCount))
            left = capacity
        }
        left -= 1
        return UnsafeRawPointer(start + left * AESGCM.nonceCount)
    }
}
