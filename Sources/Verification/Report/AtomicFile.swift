import Glibc

/// A file that appears whole or not at all: written beside its place, which it takes in one step, so that a
/// reader never sees half of one.
package final class AtomicFile {
    private let path: String
    private let temporaryPath: String
    private let file: UnsafeMutablePointer<FILE>

    /// Opened before the work whose result it will hold, so that a path that cannot be written is known first.
    package init(path: String) throws(ReportError) {
        self.path = path
        temporaryPath = path + ".partial-\(getpid())"
        guard let file = fopen(temporaryPath, "we") else { throw Self.failure(path) }
        self.file = file
    }

    deinit {
        fclose(file)
        unlink(temporaryPath)  // nothing there once it has been moved
    }

    package func write(_ bytes: [UInt8]) throws(ReportError) {
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Self.failure(path) }
    }

    package func write(_ text: String) throws(ReportError) {
        try write(Array(text.utf8))
    }

    /// Puts what was written on disk; afterwards nothing but `commit` can fail.
    package func flush() throws(ReportError) {
        guard fflush(file) == 0, fsync(fileno(file)) == 0 else { throw Self.failure(path) }
    }

    /// Takes the place.
    package func commit() throws(ReportError) {
        try flush()
        guard rename(temporaryPath, path) == 0 else { throw Self.failure(path) }
    }

    private static func failure(_ path: String) -> ReportError {
        ReportError("the report cannot be written to \(path): \(String(cString: strerror(errno)))")
    }
}
