import COpenSSL
import Synchronization

/// The process's memory for secrets: left out of core dumps, locked into memory as far as `RLIMIT_MEMLOCK` permits,
/// wiped when freed.
///
/// ``SecretBytes`` and the working memory of a cipher are always there. OpenSSL's contexts hold keys too, in
/// OpenSSL's own memory; a program that wants them there calls ``takeOverOpenSSL()`` as its first act. The library
/// does not by itself: the choice is for all of a process's OpenSSL, other libraries' use of it included.
///
/// What this does not hold back is a user who may read live memory, such as root.
public enum SecretMemory {
    /// How much there is.
    public struct Usage: Hashable, Sendable {
        /// Bytes that were taken from the system.
        public let mappedCount: Int
        /// Whether all that was ever taken is locked; if not, some of it may be written to a swap device.
        public let isLocked: Bool
    }

    // OpenSSL may free its last memory while the process ends: nothing here is ever torn down.
    private static let arena = Mutex(SecretArena())

    /// How much memory there is for secrets, and whether it is locked.
    public static var usage: Usage {
        arena.withLock { Usage(mappedCount: $0.mappedCount, isLocked: !$0.isOverLimit) }
    }

    /// Has OpenSSL keep all of its memory here from now on: keys, key schedules, random state, TLS.
    ///
    /// - Returns: Whether it does. OpenSSL refuses once it has allocated anything, so this must come before its
    ///   first use by anybody in the process.
    public static func takeOverOpenSSL() -> Bool {
        let isOurs =
            CRYPTO_set_mem_functions(
                { count, _, _ in SecretMemory.allocateForOpenSSL(count) },
                { block, count, _, _ in SecretMemory.resizeForOpenSSL(block, to: count) },
                { block, _, _ in SecretMemory.free(block) }) == 1
        // Not torn down at the process's end: a connection's thread that ends at that moment would free what is
        // gone already, and crash.
        if isOurs { OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) }
        return isOurs
    }

    /// `count` zero bytes, aligned for everything; ends the process where there is no memory, like any allocation of
    /// Swift.
    static func allocateZeroed(_ count: Int) -> UnsafeMutableRawPointer {
        guard let block = arena.withLock({ Block($0.allocate(count)) }).start else {
            preconditionFailure("out of memory")
        }
        block.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        return block
    }

    /// Wipes and frees what ``allocateZeroed(_:)`` has given.
    static func free(_ block: UnsafeMutableRawPointer?) {
        guard let block else { return }
        let freed = Block(block)
        arena.withLock {
            if let start = freed.start { $0.free(start) }
        }
    }

    private static func allocateForOpenSSL(_ count: Int) -> UnsafeMutableRawPointer? {
        count == 0 ? nil : arena.withLock { Block($0.allocate(count)) }.start
    }

    private static func resizeForOpenSSL(
        _ block: UnsafeMutableRawPointer?, to count: Int
    ) -> UnsafeMutableRawPointer? {
        guard let block else { return allocateForOpenSSL(count) }
        guard count > 0 else {
            free(block)
            return nil
        }
        let old = Block(block)
        return arena.withLock { arena in Block(old.start.flatMap { arena.resize($0, to: count) }) }.start
    }

    /// A block on its way through the lock. Sendable: it belongs to the caller alone, as with `malloc`.
    private struct Block: @unchecked Sendable {
        let start: UnsafeMutableRawPointer?
        init(_ start: UnsafeMutableRawPointer?) { self.start = start }
    }
}
