import Catalog
import Envelope
import Rotation
import Verification

extension VerificationReport {
    /// The report on a verification that began at `start` and has just ended.
    ///
    /// - Parameter retiredKeyIDs: ids that must be in no value any more, whether their keys are configured or not.
    init(
        _ outcome: VerificationOutcome, keyring: Keyring, catalog: CatalogFile, retiredKeyIDs: [String],
        challenge: String?, start: Moment, coverage: Coverage?, fences: [FenceConstraint]
    ) throws {
        self.init(
            outcome,
            Circumstances(
                toolVersion: ToolVersion.current, startedAt: start.text, finishedAt: Timestamp.now(),
                challenge: challenge, catalogDigest: try JobRecord.digest(ofCatalog: catalog.canonicalText),
                target: Key(
                    id: keyring.primary.id.description, checkValue: keyring.primary.checkValue.description),
                retired: retiredKeyIDs.map { id in
                    let key = keyring.keys.first { $0.id.description == id }
                    return Key(id: id, checkValue: key?.checkValue.description)
                },
                coverage: coverage, fences: fences))
    }
}
