package import Envelope
import FoundationEssentials

/// Checks a report offline: neither database nor keys are needed.
package struct ReportCheck {
    private let key: SignaturePublicKey
    private let challenge: String?

    /// - Parameter challenge: what the report must answer to; nil: nothing is asked.
    package init(key: SignaturePublicKey, challenge: String?) {
        self.key = key
        self.challenge = challenge
    }

    /// The report, where the signature over its exact bytes is the key's and the challenge is the one it was
    /// made for.
    ///
    /// Nothing of the report is read before its signature has been checked.
    /// - Throws: `ReportError` with what is wrong.
    package func check(_ report: [UInt8], signature: [UInt8]) throws -> HeldReport {
        guard try report.withUnsafeBytes({ try key.isValid(signature, of: $0) }) else {
            throw ReportError(
                "the signature is not this key's over this report: the report was changed, or another key signed it"
            )
        }
        let held = try Self.read(report)
        guard held.schemaVersion == 1, held.kind == "verification" else {
            throw ReportError(
                "signed, but no verification report of schema version 1 (kind \(held.kind.debugDescription), version \(held.schemaVersion))"
            )
        }
        // By its bytes: Swift takes texts for equal that are composed differently.
        if let challenge, !(held.challenge?.utf8.elementsEqual(challenge.utf8) ?? false) {
            throw ReportError(
                held.challenge == nil
                    ? "the report answers to no challenge"
                    : "the report answers to another challenge: it may be an older one")
        }
        return held
    }

    private static func read(_ report: [UInt8]) throws -> HeldReport {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(HeldReport.self, from: Data(report))
        } catch {
            throw ReportError("signed, but no verification report")
        }
    }
}
