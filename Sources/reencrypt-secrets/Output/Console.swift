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

    /// The width in columns of the terminal that shows the status line.
    static var width: Int { size(of: STDERR_FILENO).columns }

    /// The size of the terminal that shows the results.
    static var resultSize: (columns: Int, rows: Int) { size(of: STDOUT_FILENO) }

    private static func size(of descriptor: Int32) -> (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
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
