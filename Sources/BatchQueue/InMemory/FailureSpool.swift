import FoundationEssentials
import Glibc

/// Failed records in an unlinked temporary file, one JSON line each: a table with a million of them must not
/// need the memory for a million. Holds ids and reasons, never any part of a value.
package struct FailureSpool: ~Copyable {
    private let file: UnsafeMutablePointer<FILE>
    package private(set) var count = 0

    package init() throws {
        guard let file = tmpfile() else { throw SpoolError(errno: errno) }
        self.file = file
    }

    deinit {
        fclose(file)
    }

    package mutating func append(_ failure: RecordFailure) throws {
        var line = try JSONEncoder().encode(failure)
        line.append(UInt8(ascii: "\n"))
        let written = line.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
        guard written == line.count else { throw SpoolError(errno: errno) }
        count += 1
    }

    package mutating func removeAll() throws {
        guard fflush(file) == 0, ftruncate(fileno(file), 0) == 0, fseek(file, 0, SEEK_SET) == 0 else {
            throw SpoolError(errno: errno)
        }
        count = 0
    }

    package mutating func forEach(_ body: (RecordFailure) throws -> Void) throws {
        guard fseek(file, 0, SEEK_SET) == 0 else { throw SpoolError(errno: errno) }
        defer { fseek(file, 0, SEEK_END) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        let decoder = JSONDecoder()
        while true {
            let length = getline(&line, &capacity, file)
            guard length > 0, let line else { return }
            try body(decoder.decode(RecordFailure.self, from: Data(bytes: line, count: length)))
        }
    }

    /// The temporary folder is full or not writable.
    package struct SpoolError: Error, CustomStringConvertible {
        let errno: Int32
        package var description: String {
            "the list of failed records cannot be kept in the temporary folder (\(String(cString: strerror(errno)))); "
                + "set TMPDIR to a writable folder with space"
        }
    }
}
