import BatchQueue
import FoundationEssentials
import Verification

/// Writes a job's report: everything but the failed records first, then those one by one, since there may be
/// millions.
final class ReportFile {
    private let file: AtomicFile
    private var isFirst = true

    /// Opened before the job, so that a path that cannot be written is known before anything is changed.
    init(path: String) throws(ReportError) {
        file = try AtomicFile(path: path)
    }

    /// Everything but the failed records.
    func begin(_ report: JobReport) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .prettyPrinted, .sortedKeys]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        var text = String(decoding: try encoder.encode(report), as: UTF8.self)
        guard text.hasSuffix("\n}") else { throw ReportError("the report could not be composed") }
        text.removeLast(2)
        try file.write(text + ",\n  \"failures\" : [")
    }

    func append(_ failure: RecordFailure) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        let text = String(decoding: try encoder.encode(failure), as: UTF8.self)
        try file.write((isFirst ? "\n    " : ",\n    ") + text)
        isFirst = false
    }

    func finish() throws {
        try file.write(isFirst ? "]\n}\n" : "\n  ]\n}\n")
        try file.commit()
    }
}
