import COpenSSL
import Glibc

/// An allocator over pages that no core dump holds and, as far as the system permits, no swap device gets.
///
/// Blocks come from free lists by size, those from chunks that are never given back: what keys and OpenSSL need
/// soon stays the same. Freed blocks are wiped at once. For one thread at a time.
struct SecretArena {
    /// Stands before each block. 16 bytes, so that what follows is aligned for everything.
    private struct Header {
        /// The block's place among the sizes; -1 for one with pages of its own.
        var sizeClass: Int
        /// How much was asked for.
        var count: Int
    }

    /// Sizes with their headers: 32, 48, 64, 96, … 32 KiB. What is larger gets pages of its own.
    private static let sizes = (5...14).flatMap { [1 << $0, 3 << ($0 - 1)] } + [1 << 15]
    private static let headerCount = MemoryLayout<Header>.stride
    private static let chunkCount = 256 << 10

    private var freeBlocks = [UnsafeMutableRawPointer?](repeating: nil, count: sizes.count)
    private var chunk = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private(set) var mappedCount = 0
    /// Whether pages could not be locked, ever.
    private(set) var isOverLimit = false

    /// A block of at least `count` bytes, whose contents are anything but a secret; nil where the system has no memory.
    mutating func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        guard count >= 0, count < Int.max / 2 else { return nil }
        let total = count + Self.headerCount
        guard let sizeClass = Self.sizeClass(for: total) else {
            return map(Self.pages(total)).map { Self.begin($0, Header(sizeClass: -1, count: count)) }
        }
        if let block = freeBlocks[sizeClass] {
            freeBlocks[sizeClass] = block.load(as: UnsafeMutableRawPointer?.self)
            return Self.begin(block - Self.headerCount, Header(sizeClass: sizeClass, count: count))
        }
        return carve(Self.sizes[sizeClass]).map {
            Self.begin($0, Header(sizeClass: sizeClass, count: count))
        }
    }

    /// Wipes a block and takes it back.
    mutating func free(_ block: UnsafeMutableRawPointer) {
        let header = Self.header(of: block)
        OPENSSL_cleanse(block, header.count)
        guard header.sizeClass >= 0 else {
            return unmap(block - Self.headerCount, Self.pages(header.count + Self.headerCount))
        }
        block.storeBytes(of: freeBlocks[header.sizeClass], as: UnsafeMutableRawPointer?.self)
        freeBlocks[header.sizeClass] = block
    }

    /// The block with room for `count` bytes: the same one where it has that, else another one with its contents.
    /// Nil, and the block as it was, where the system has no memory.
    mutating func resize(_ block: UnsafeMutableRawPointer, to count: Int) -> UnsafeMutableRawPointer? {
        let header = Self.header(of: block)
        if header.sizeClass >= 0, count >= 0, count + Self.headerCount <= Self.sizes[header.sizeClass] {
            if count < header.count { OPENSSL_cleanse(block + count, header.count - count) }
            return Self.begin(
                block - Self.headerCount, Header(sizeClass: header.sizeClass, count: count))
        }
        guard let larger = allocate(count) else { return nil }
        larger.copyMemory(from: block, byteCount: min(count, header.count))
        free(block)
        return larger
    }

    // MARK: Blocks

    private static func begin(_ start: UnsafeMutableRawPointer, _ header: Header) -> UnsafeMutableRawPointer {
        start.storeBytes(of: header, as: Header.self)
        return start + headerCount
    }

    private static func header(of block: UnsafeMutableRawPointer) -> Header {
        (block - headerCount).load(as: Header.self)
    }

    private static func sizeClass(for total: Int) -> Int? {
        guard total > sizes[0] else { return 0 }
        guard total <= sizes[sizes.count - 1] else { return nil }
        // The power of two below, and whether its half again is enough.
        let power = Int.bitWidth - 1 - (total - 1).leadingZeroBitCount
        return 2 * (power - 5) + (total <= 3 << (power - 1) ? 1 : 2)
    }

    private mutating func carve(_ size: Int) -> UnsafeMutableRawPointer? {
        if chunk.count < size {
            // What is left of the old one, at most a block, stays unused.
            guard let start = map(Self.chunkCount) else { return nil }
            chunk = UnsafeMutableRawBufferPointer(start: start, count: Self.chunkCount)
        }
        let start = chunk.baseAddress
        chunk = UnsafeMutableRawBufferPointer(rebasing: chunk[size...])
        return start
    }

    // MARK: Pages

    private static func pages(_ count: Int) -> Int { (count + 4_095) & ~4_095 }

    private mutating func map(_ count: Int) -> UnsafeMutableRawPointer? {
        guard let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != MAP_FAILED
        else { return nil }
        madvise(start, count, MADV_DONTDUMP)
        mappedCount += count
        if mlock(start, count) != 0 { isOverLimit = true }
        return start
    }

    private mutating func unmap(_ start: UnsafeMutableRawPointer, _ count: Int) {
        munmap(start, count)
        mappedCount -= count
    }
}
