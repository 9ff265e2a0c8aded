import BatchQueue
import FoundationEssentials
import Glibc

/// Writes a report: to a temporary file beside its place, which it then takes, so that a reader never sees
/// half of one.
final class ReportFile {
    private let path: String
    private let temporaryPath: String
    private let file: UnsafeMutablePointer<FILE>
    private var isFirst = true

    /// Opened before the job, so that a path that cannot be written is known before anything is changed.
    init(path: String) throws(SettingsError) {
        self.path = path
        temporaryPath = path + ".partial-\(getpid())"
        guard let file = fopen(temporaryPath, "w") else {
            throw SettingsError(
                "the report cannot be written to \(path): \(String(cString: strerror(errno)))")
        }
        self.file = file
    }

    deinit {
        fclose(file)
        unlink(temporaryPath)  // nothing there once it has been moved
    }

    /// Everything but the failed records.
    func begin(_ report: JobReport) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .prettyPrinted, .sortedKeys]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        var text = String(decoding: try encoder.encode(report), as: UTF8.self)
        guard text.hasSuffix("\n}") else { throw SettingsError("the report could not be composed") }
        text.removeLast(2)
        try write(text + ",\n  \"failures\" : [")
    }

    func append(_ failure: RecordFailure) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        let text = String(decoding: try encoder.encode(failure), as: UTF8.self)
        try write((isFirst ? "\n    " : ",\n    ") + text)
        isFirst = false
    }

    func finish() throws {
        try write(isFirst ? "]\n}\n" : "\n  ]\n}\n")
        guard fflush(file) == 0, fsync(fileno(file)) == 0, rename(temporaryPath, path) == 0 else {
            throw SettingsError(
                "the report cannot be written to \(path): \(String(cString: strerror(errno)))")
        }
    }

    private func write(_ text: String) throws {
        guard fputs(text, file) >= 0 else {
            throw SettingsError(
                "the report cannot be written to \(path): \(String(cString: strerror(errno)))")
        }
    }
}
