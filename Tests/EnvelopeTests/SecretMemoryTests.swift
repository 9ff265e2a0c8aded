import Glibc
import Testing

@testable import Envelope

@Suite("Memory for secrets is wiped, undumped and of any size")
struct SecretMemoryTests {
    @Test func blocksHoldWhatIsWrittenAndAreWipedWhenFreed() throws {
        var arena = SecretArena()
        var blocks: [(start: UnsafeMutableRawPointer, count: Int)] = []
        for count in [0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 80, 81, 1_000, 32_752, 32_753, 100_000] {
            for _ in 0..<3 {
                let block = try Self.allocate(count, &arena)
                #expect(Int(bitPattern: block) % 16 == 0)
                memset(block, Int32(blocks.count + 1), count)
                blocks.append((block, count))
            }
        }
        for (index, block) in blocks.enumerated() {
            let bytes = UnsafeRawBufferPointer(start: block.start, count: block.count)
            #expect(bytes.allSatisfy { $0 == UInt8(index + 1) }, "a block overlaps: \(block.count)")
        }
        for block in blocks where block.count <= 32_752 {
            arena.free(block.start)
            // The first word links free blocks.
            let rest = UnsafeRawBufferPointer(start: block.start, count: block.count).dropFirst(8)
            #expect(rest.allSatisfy { $0 == 0 }, "not wiped: \(block.count)")
        }
    }

    @Test func freedBlocksAreUsedAgain() throws {
        var arena = SecretArena()
        let first = try Self.allocate(100, &arena)
        arena.free(first)
        let second = try Self.allocate(90, &arena)
        #expect(second == first)
        let mapped = arena.mappedCount
        for _ in 0..<100_000 { arena.free(try Self.allocate(500, &arena)) }
        for _ in 0..<100 { arena.free(try Self.allocate(1 << 20, &arena)) }
        #expect(arena.mappedCount == mapped)
    }

    @Test func aResizedBlockKeepsItsContents() throws {
        var arena = SecretArena()
        var block = try Self.allocate(10, &arena)
        block.copyMemory(from: Array("0123456789".utf8), byteCount: 10)
        for count in [12, 64, 5_000, 70_000, 80_000, 20, 10] {
            block = try Self.resize(block, to: count, &arena)
            #expect(memcmp(block, "0123456789", 10) == 0)
        }
        block = try Self.resize(block, to: 4, &arena)
        #expect((block + 4).loadUnaligned(as: UInt32.self) == 0, "what was cut off is not wiped")
    }

    @Test func nothingThatCannotBeGivenIsPromised() {
        var arena = SecretArena()
        for count in [-1, Int.max, 1 << 60] {
            let block = arena.allocate(count)
            #expect(block == nil)
        }
    }

    /// `dd`: in no core dump; `lo`: locked.
    @Test(
        .disabled(if: getenv("REENCRYPT_TEST_SANITIZER") != nil, "sanitizers make mlock do nothing"),
        arguments: [32, 100_000])
    func theKernelKnowsAboutIt(count: Int) throws {
        let secret = SecretBytes(count: count) { _ in }
        let flags = try secret.withUnsafeBytes { try Self.flags(ofPageAt: UInt(bitPattern: $0.baseAddress)) }
        #expect(flags.contains("dd"))
        #expect(flags.contains("lo") || !SecretMemory.usage.isLocked)
    }

    private static func allocate(
        _ count: Int, _ arena: inout SecretArena
    ) throws -> UnsafeMutableRawPointer {
        let block = arena.allocate(count)
        return try #require(block)
    }

    private static func resize(
        _ block: UnsafeMutableRawPointer, to count: Int, _ arena: inout SecretArena
    ) throws -> UnsafeMutableRawPointer {
        let resized = arena.resize(block, to: count)
        return try #require(resized)
    }

    private static func flags(ofPageAt address: UInt) throws -> [Substring] {
        let file = try #require(fopen("/proc/self/smaps", "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4 << 20)
        let text = String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
        var isInside = false
        for line in text.split(separator: "\n") {
            if isInside, line.hasPrefix("VmFlags:") { return line.split(separator: " ") }
            let ends = line.prefix { $0 != " " }.split(separator: "-").map { UInt($0, radix: 16) }
            guard ends.count == 2, let low = ends[0], let high = ends[1] else { continue }
            isInside = (low..<high).contains(address)
        }
        return []
    }
}
