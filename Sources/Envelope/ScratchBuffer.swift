import COpenSSL

/// Memory that is used again for each value and may hold secrets: what was used is wiped by its user after
/// each value, the whole when it is freed or outgrown.
final class ScratchBuffer {
    private(set) var start: UnsafeMutableRawPointer
    private var capacity: Int

    /// A buffer of `capacity` zero bytes.
    init(capacity: Int) {
        self.capacity = max(capacity, 16)
        start = SecretMemory.allocateZeroed(self.capacity)
    }

    deinit { SecretMemory.free(start) }

    /// The first `count` bytes. Where the buffer had to grow, they are zero, and pointers from before are
    /// void.
    func bytes(_ count: Int) -> UnsafeMutableRawBufferPointer {
        if count > capacity { grow(to: count) }
        return UnsafeMutableRawBufferPointer(start: start, count: count)
    }

    /// Wipes the first `count` bytes.
    func wipe(_ count: Int) { OPENSSL_cleanse(start, min(count, capacity)) }

    private func grow(to count: Int) {
        SecretMemory.free(start)
        capacity = max(count, capacity * 2)
        start = SecretMemory.allocateZeroed(capacity)
    }
}
