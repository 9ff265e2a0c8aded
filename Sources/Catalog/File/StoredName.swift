/// A name by its bytes, as the server compares names. Swift takes texts for equal that differ in how a letter
/// with an accent is composed; to PostgreSQL they are two tables or two columns.
package struct StoredName: Hashable, Sendable {
    private let name: String

    package init(_ name: String) {
        self.name = name
    }

    package static func == (left: StoredName, right: StoredName) -> Bool {
        left.name.utf8.elementsEqual(right.name.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        var name = name
        name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(0xFF as UInt8)  // no byte of UTF-8: where names follow one another, each has an end
    }
}
