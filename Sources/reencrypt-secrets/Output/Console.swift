import Glibc
import Synchronization

/// Standard error, shared by log lines and the progress bar so that neither tears the other.
final class Console: Sendable {
    static let shared = Console()

    private let statusLine = Mutex("")
    let isTerminal = isatty(STDERR_FILENO) == 1

    /// Writes a line above the status line.
    func writeLine(_ line: String) {
        statusLine.withLock { status in
            let clear = status.isEmpty ? "" : "\r\u{1B}[K"
            Self.write(clear + line + "\n" + status, to: STDERR_FILENO)
        }
    }

    /// Redraws the status line; empty removes it. Only on a terminal.
    func setStatusLine(_ line: String) {
        guard isTerminal else { return }
        statusLine.withLock { status in
            status = line
            Self.write("\r\u{1B}[K" + line, to: STDERR_FILENO)
        }
    }

    /// Writes results.
    static func printResult(_ text: String) {
        write(text, to: STDOUT_FILENO)
    }

    /// Whether a person reads the results.
    static let resultIsTerminal = isatty(STDOUT_FILENO) == 1

    /// The terminal's width in columns.
    static var width: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if written < 0 && errno == EINTR { continue }
                if written <= 0 { return }  // nobody reads any more
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
            }
        }
    }
}
