import Glibc

/// Whether two runs of public bytes are the same. Not for secrets: the time it takes tells where they differ.
@inline(__always)
func bytesEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard let leftStart = left.baseAddress, let rightStart = right.baseAddress else { return true }
    return memcmp(leftStart, rightStart, left.count) == 0
}

/// The same against a literal, without making a string of either.
@inline(__always)
func bytesEqual(_ left: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool {
    bytesEqual(left, UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
}
