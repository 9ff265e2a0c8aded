import Envelope
import Glibc

/// Reads a file that may hold keys into memory that is wiped.
enum SecretFile {
    private static let largest = 1 << 20

    /// - Parameter what: for the message.
    static func read(_ path: String, what: String) throws(SettingsError) -> SecretBytes {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw SettingsError("the \(what) \(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            throw SettingsError("the \(what) \(path) is no file")
        }
        // A pipe says it is empty: it may be filled up to the limit.
        let size = status.st_size > 0 ? Int(status.st_size) : 65_536
        guard size <= largest else { throw SettingsError("the \(what) \(path) is larger than 1 MiB") }
        var count = 0
        let contents = try SecretBytes(count: size) { (buffer) throws(SettingsError) in
            count = try fill(buffer, from: descriptor, path, what)
        }
        if count == size { return contents }
        return contents.withUnsafeBytes { contents in
            SecretBytes(count: count) {
                $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: contents[..<count]))
            }
        }
    }

    /// - Returns: How many bytes the file had.
    private static func fill(
        _ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32, _ path: String, _ what: String
    ) throws(SettingsError) -> Int {
        var count = 0
        while count < buffer.count {
            let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else {
                throw SettingsError("the \(what) \(path) cannot be read: \(String(cString: strerror(errno)))")
            }
            if got == 0 { break }
            count += got
        }
        return count
    }
}
