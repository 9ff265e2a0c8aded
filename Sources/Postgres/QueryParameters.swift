/// The parameters of one statement in binary format, in one buffer that is used again and again.
package struct QueryParameters {
    private var bytes: [UInt8] = []
    private var offsets: [Int] = []
    private var types: [UInt32] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []
    private var pointers: [UnsafePointer<CChar>?] = []

    package init() {}

    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        types.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        formats.removeAll(keepingCapacity: true)
    }

    package mutating func append(text: String) {
        let start = begin(.text)
        bytes.append(contentsOf: text.utf8)
        end(start)
    }

    package mutating func append(int8 value: Int64) {
        let start = begin(.int8)
        bytes.append(bigEndian: value)
        end(start)
    }

    package mutating func append(int4 value: Int32) {
        let start = begin(.int4)
        bytes.append(bigEndian: value)
        end(start)
    }

    package mutating func append(oid value: UInt32) {
        let start = begin(.oid)
        bytes.append(bigEndian: value)
        end(start)
    }

    package mutating func append(array: inout BinaryArray) {
        let start = begin(array.arrayType)
        array.seal()
        bytes.append(contentsOf: array.bytes)
        end(start)
    }

    /// An array of texts.
    package mutating func append(texts: [String]) {
        var array = BinaryArray(of: .text)
        for text in texts {
            _ = array.appendElement { bytes in
                bytes.append(contentsOf: text.utf8)
                return true
            }
        }
        append(array: &array)
    }

    package mutating func appendNull() {
        offsets.append(-1)
        types.append(PostgresType.text.oid)
        lengths.append(0)
        formats.append(1)
    }

    private mutating func begin(_ type: PostgresType) -> Int {
        offsets.append(bytes.count)
        types.append(type.oid)
        formats.append(1)
        return bytes.count
    }

    private mutating func end(_ start: Int) {
        lengths.append(Int32(bytes.count - start))
        if bytes.isEmpty { bytes.append(0) }  // an empty buffer has no address, and a nil means NULL to libpq
    }

    /// Hands libpq's parallel arrays to `body`; they are valid inside it alone.
    mutating func withCArrays<R>(
        _ body: (
            _ count: Int32, _ types: UnsafePointer<UInt32>?,
            _ values: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int32>?,
            _ formats: UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        pointers.removeAll(keepingCapacity: true)
        let count = Int32(offsets.count)
        return bytes.withUnsafeBytes { all in
            for offset in offsets {
                let cell = offset < 0 ? nil : all.baseAddress.map { $0 + offset }
                pointers.append(cell?.assumingMemoryBound(to: CChar.self))
            }
            return types.withUnsafeBufferPointer { types in
                pointers.withUnsafeBufferPointer { values in
                    lengths.withUnsafeBufferPointer { lengths in
                        formats.withUnsafeBufferPointer { formats in
                            body(
                                count, types.baseAddress, values.baseAddress, lengths.baseAddress,
                                formats.baseAddress)
                        }
                    }
                }
            }
        }
    }
}
