/// Why a report could not be written or read. The message is safe to log: it names files, never contents.
package struct ReportError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
