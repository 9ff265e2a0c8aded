/// A one-dimensional PostgreSQL array in its binary format, built element by element in one reusable
/// buffer: header, then for each element its length (-1: NULL) and bytes, all big-endian.
/// Source: `array_send` in PostgreSQL's arrayfuncs.c.
package struct BinaryArray {
    package private(set) var count = 0
    private(set) var bytes: [UInt8] = []
    private var hasNull = false
    private let elementType: PostgresType

    private static let headerSize = 20

    package init(of elementType: PostgresType) {
        self.elementType = elementType
        writeHeader()
    }

    /// Empties the array and keeps its memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        count = 0
        hasNull = false
        writeHeader()
    }

    package mutating func append(_ element: UnsafeRawBufferPointer) {
        bytes.append(bigEndian: Int32(element.count))
        bytes.append(contentsOf: element)
        count += 1
    }

    package mutating func appendNull() {
        bytes.append(bigEndian: Int32(-1))
        count += 1
        hasNull = true
    }

    /// Takes back the element that `appendNull` has just appended.
    package mutating func removeLastNull() {
        bytes.removeLast(4)
        count -= 1
    }

    /// Appends an element that `body` writes at the end of the buffer. Where it throws or answers false,
    /// nothing has been appended.
    package mutating func appendElement<Failure: Error>(
        _ body: (inout [UInt8]) throws(Failure) -> Bool
    ) throws(Failure) -> Bool {
        let start = bytes.count
        bytes.append(bigEndian: Int32(0))
        do throws(Failure) {
            guard try body(&bytes) else {
                bytes.removeLast(bytes.count - start)
                return false
            }
        } catch {
            bytes.removeLast(bytes.count - start)
            throw error
        }
        let length = Int32(bytes.count - start - 4)
        bytes.withUnsafeMutableBytes {
            $0.storeBytes(of: length.bigEndian, toByteOffset: start, as: Int32.self)
        }
        count += 1
        return true
    }

    /// Visits the elements in order; nil stands for NULL.
    package func forEachElement(_ body: (Int, UnsafeRawBufferPointer?) -> Void) {
        bytes.withUnsafeBytes { all in
            var offset = Self.headerSize
            for index in 0..<count {
                let length = Int(Int32(bigEndian: all.loadUnaligned(fromByteOffset: offset, as: Int32.self)))
                offset += 4
                if length < 0 {
                    body(index, nil)
                } else {
                    body(index, UnsafeRawBufferPointer(rebasing: all[offset..<(offset + length)]))
                    offset += length
                }
            }
        }
    }

    var arrayType: PostgresType { elementType.array }

    /// Writes the counts into the header; called before the bytes are sent.
    mutating func seal() {
        let (count, hasNull) = (Int32(count), Int32(hasNull ? 1 : 0))
        bytes.withUnsafeMutableBytes {
            $0.storeBytes(of: Int32(1).bigEndian, toByteOffset: 0, as: Int32.self)
            $0.storeBytes(of: hasNull.bigEndian, toByteOffset: 4, as: Int32.self)
            $0.storeBytes(of: count.bigEndian, toByteOffset: 12, as: Int32.self)
        }
    }

    private mutating func writeHeader() {
        bytes.append(bigEndian: Int32(1))  // dimensions
        bytes.append(bigEndian: Int32(0))  // holds NULLs
        bytes.append(bigEndian: Int32(bitPattern: elementType.oid))
        bytes.append(bigEndian: Int32(0))  // elements
        bytes.append(bigEndian: Int32(1))  // lower bound
    }
}

extension [UInt8] {
    mutating func append(bigEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
