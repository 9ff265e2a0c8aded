/// The text form of a `pg_node_tree`, in which expressions are stored: it writes the bytes of a constant as decimal
/// numbers in brackets. Source: outDatum.
enum NodeTree {
    /// Text as a constant has it.
    static func spelling(_ text: String) -> String {
        text.utf8.map { String($0) }.joined(separator: " ")
    }

    /// The bytes of each constant.
    static func constants(in text: UnsafeRawBufferPointer) -> [[UInt8]] {
        var constants: [[UInt8]] = []
        var constant: [UInt8]?
        for word in text.split(separator: UInt8(ascii: " ")) {
            if word.elementsEqual("[".utf8) {
                constant = []
            } else if word.first == UInt8(ascii: "]") {  // what it closes besides follows at once
                if let constant, !constant.isEmpty { constants.append(constant) }
                constant = nil
            } else if constant != nil {
                // Bytes are written as signed characters.
                if let byte = Int(String(decoding: word, as: UTF8.self)), (-128...255).contains(byte) {
                    constant?.append(UInt8(truncatingIfNeeded: byte))
                } else {
                    constant = nil
                }
            }
        }
        return constants
    }
}
