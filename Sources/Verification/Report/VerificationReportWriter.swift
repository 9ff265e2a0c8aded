package import Envelope
import Glibc

/// Writes a report, and its signature beside it where there is a key for one.
///
/// The report is plain JSON. `FILE.sig` holds the 64 bytes of the Ed25519 signature over exactly the bytes of
/// `FILE`, so that `openssl pkeyutl -verify -rawin` checks it without this tool.
package final class VerificationReportWriter {
    /// Where the signature of a report stands.
    package static func signaturePath(of path: String) -> String { path + ".sig" }

    private let path: String
    private let key: SignatureKey?
    private let report: AtomicFile
    private let signature: AtomicFile?

    /// Opens both files before the verification, so that a path that cannot be written is known first.
    package init(path: String, signingWith key: SignatureKey?) throws(ReportError) {
        self.path = path
        self.key = key
        report = try AtomicFile(path: path)
        signature = key == nil ? nil : try AtomicFile(path: Self.signaturePath(of: path))
    }

    /// Signs the report and puts both files into their places.
    ///
    /// A signature never stands beside a report that it does not belong to: that of an earlier report goes
    /// first. Where this ends in between, a report stands alone that names a key, which a check refuses.
    package func finish(_ content: VerificationReport) throws {
        var content = content
        content.signature = key.map { .init(publicKey: Self.hex($0.publicKeyBytes)) }
        let bytes = try content.bytes()
        try report.write(bytes)
        try report.flush()
        if let key, let signature {
            try signature.write(try bytes.withUnsafeBytes { try key.sign($0) })
            try signature.flush()
        }
        let signaturePath = Self.signaturePath(of: path)
        guard unlink(signaturePath) == 0 || errno == ENOENT else {
            throw ReportError(
                "the earlier signature \(signaturePath) cannot be removed: \(String(cString: strerror(errno)))"
            )
        }
        try report.commit()
        try signature?.commit()
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
