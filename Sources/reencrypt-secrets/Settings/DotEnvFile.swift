import Envelope
import Glibc

/// A `.env` file: `NAME=value` lines, `export` and comments allowed, values in single or double quotes or
/// bare. Read into memory that is wiped, since it may hold keys; for the same reason no library reads it,
/// as they all hand out strings that nobody can wipe.
struct DotEnvFile {
    private let contents: SecretBytes?

    /// - Parameter path: a file that need not exist.
    init(path: String) throws(SettingsError) {
        guard access(path, F_OK) == 0 else {
            contents = nil
            return
        }
        contents = try SecretFile.read(path, what: ".env file")
    }

    /// Hands the value of `name` to `body`; nil where the file does not set it. The last line counts.
    func withValue<R>(of name: String, _ body: (UnsafeRawBufferPointer?) throws -> R) rethrows -> R {
        guard let contents else { return try body(nil) }
        return try contents.withUnsafeBytes { bytes in
            var found: UnsafeRawBufferPointer?
            for line in bytes.split(separator: UInt8(ascii: "\n")) {
                if let value = Self.value(in: UnsafeRawBufferPointer(rebasing: line), of: name) {
                    found = value
                }
            }
            return try body(found)
        }
    }

    private static func value(in line: UnsafeRawBufferPointer, of name: String) -> UnsafeRawBufferPointer? {
        var rest = trimmed(line)
        let export = Array("export ".utf8)
        if rest.starts(with: export) {
            rest = trimmed(UnsafeRawBufferPointer(rebasing: rest.dropFirst(export.count)))
        }
        guard rest.starts(with: name.utf8) else { return nil }
        rest = trimmed(UnsafeRawBufferPointer(rebasing: rest.dropFirst(name.utf8.count)))
        guard rest.first == UInt8(ascii: "=") else { return nil }
        rest = trimmed(UnsafeRawBufferPointer(rebasing: rest.dropFirst()))
        for quote in [UInt8(ascii: "\""), UInt8(ascii: "'")] where rest.first == quote {
            let inner = rest.dropFirst()
            guard let end = inner.firstIndex(of: quote) else { return rest }
            return UnsafeRawBufferPointer(rebasing: inner[..<end])
        }
        // A bare value ends at a comment that white space sets off.
        for index in rest.indices.dropFirst()
        where rest[index] == UInt8(ascii: "#") && isBlank(rest[index - 1]) {
            return trimmed(UnsafeRawBufferPointer(rebasing: rest[..<index]))
        }
        return rest
    }

    private static func trimmed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var slice = bytes[...]
        while let first = slice.first, isBlank(first) { slice = slice.dropFirst() }
        while let last = slice.last, isBlank(last) { slice = slice.dropLast() }
        return UnsafeRawBufferPointer(rebasing: slice)
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}
