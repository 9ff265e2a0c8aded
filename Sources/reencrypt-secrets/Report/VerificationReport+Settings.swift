import Catalog
import Envelope
import Rotation
import Verification

extension VerificationReport {
    /// The report on a verification that began at `start` and has just ended.
    ///
    /// - Parameter catalog: all of it, whatever `--table` selects.
    init(
        _ outcome: VerificationOutcome, keyring: Keyring, catalog: CatalogFile,
        challenge: String?, start: Moment, coverage: Coverage?, fences: [FenceConstraint]
    ) throws {
        self.init(
            outcome,
            Circumstances(
                toolVersion: ToolVersion.current, startedAt: start.text, finishedAt: Timestamp.now(),
                challenge: challenge, catalogDigest: try JobRecord.digest(ofCatalog: catalog.canonicalText),
                target: Key(
                    id: keyring.primary.id.description, checkValue: keyring.primary.checkValue.description),
                retired: outcome.retiredKeyIDs.map { id in
                    let key = keyring.keys.first { $0.id.description == id }
                    return Key(id: id, checkValue: key?.checkValue.description)
                },
                coverage: coverage, fences: fences))
    }
}
