/// A name by its bytes, as the server compares names. Swift takes texts for equal that differ in how a letter
/// with an accent is composed; to PostgreSQL they are two tables or two columns.
struct StoredName: Hashable {
    private let bytes: [UInt8]

    init(_ name: String) {
        bytes = Array(name.utf8)
    }
}
