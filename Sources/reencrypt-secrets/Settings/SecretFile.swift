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
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        defer {
            if let start = buffer.baseAddress { explicit_bzero(start, size) }
            buffer.deallocate()
        }
        var count = 0
        while count < size {
            let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else {
                throw SettingsError("the \(what) \(path) cannot be read: \(String(cString: strerror(errno)))")
            }
            if got == 0 { break }
            count += got
        }
        return SecretBytes(count: count) { target in
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
