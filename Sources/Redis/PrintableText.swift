import Glibc

/// What a server says, made fit for one line of a log or a terminal.
package enum PrintableText {
    /// At most `limit` bytes, with a space for every control character.
    static func line(_ bytes: UnsafeRawBufferPointer, limit: Int) -> String {
        plain(String(decoding: bytes.prefix(limit), as: UTF8.self))
    }

    /// With a space for every character that steers a terminal or ends a line.
    package static func plain(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: " "
                    default: scalar
                    }
                }))
    }

    static func short(_ text: String) -> String {
        var text = text
        return text.withUTF8 { line(UnsafeRawBufferPointer($0), limit: 64) }
    }

    /// Redis quotes the arguments of an unknown command, which are the password where AUTH was renamed.
    static func withoutArguments(_ message: String) -> String {
        let marker = Array(", with args beginning with".utf8)
        let bytes = Array(message.utf8)
        for start in bytes.indices where bytes[start...].starts(with: marker) {
            return String(decoding: bytes[..<start], as: UTF8.self)
        }
        return message
    }

    /// To a tenth of a second: `0.3 s`, `5 s`.
    static func seconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let tenths = seconds * 10 + (attoseconds / 10_000_000_000_000_000 + 5) / 10
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }

    /// What the C library says about an `errno`.
    static func systemError(_ number: Int32) -> String {
        guard let text = strerror(number) else { return "error \(number)" }
        return String(cString: text)
    }
}
