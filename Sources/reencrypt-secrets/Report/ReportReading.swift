import FoundationEssentials
import Glibc
import Verification

/// Files that hold no secret: a report, its signature, a public key.
enum ReportReading {
    static func bytes(_ path: String, what: String) throws(ReportError) -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(filePath: path)))
        } catch {
            throw ReportError("the \(what) \(path) cannot be read")
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
