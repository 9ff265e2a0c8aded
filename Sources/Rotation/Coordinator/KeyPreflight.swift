import Envelope
import Logging
import Postgres
import Verification

/// What the first census says about the keys: refuses key ids that are not configured and keys with other
/// bytes than the data's, warns where nothing can prove the target.
struct KeyPreflight {
    private let plan: JobPlan
    private let allowsUnknownKeys: Bool
    private let logger: Logger

    /// A random 96-bit nonce bounds one key to 2³² wraps by all its writers (NIST SP 800-38D, 8.3); a job
    /// that needs half of them alone is worth a warning.
    private static let wrapsWorthAWarning = 1 << 31

    init(_ plan: JobPlan, allowsUnknownKeys: Bool, _ logger: Logger) {
        self.plan = plan
        self.allowsUnknownKeys = allowsUnknownKeys
        self.logger = logger
    }

    /// - Throws: `unknownKeys`, `wrongKey`.
    func check(_ census: Census, on connection: PostgresConnection) async throws {
        try checkKnown(census)
        let (plan, logger) = (plan, logger)
        try await connection.perform { try KeyProof(plan, logger).check(census, $0) }
        warn(census)
    }

    /// The same on a session that is in a transaction already.
    func check(_ census: Census, _ session: PostgresSession) throws {
        try checkKnown(census)
        try KeyProof(plan, logger).check(census, session)
        warn(census)
    }

    private func checkKnown(_ census: Census) throws {
        let configured = Set(plan.keyring.ids.map(\.description))
        let unknown = census.sortedGroups().filter { group, _ in
            group.label.keyID.map { !configured.contains($0) } ?? false
        }
        if unknown.isEmpty { return }
        let places = unknown.map { group, records in
            "\(records) in \(group.table).\(group.column) under \(group.label.keyID ?? "")"
        }
        let summary = places.joined(separator: ", ")
        if allowsUnknownKeys {
            logger.warning("Records under key ids that are not configured will fail: \(summary)")
            return
        }
        throw RotationError(
            .unknownKeys,
            "records are under key ids that are not configured: \(summary). Add these keys to "
                + "SECRETS_ENCRYPTION_KEY_PREVIOUS, or pass --allow-unknown-keys to leave them as failed records. "
                + "Nothing has been changed")
    }

    private func warn(_ census: Census) {
        let target = plan.keyring.primary
        let old = census.oldRecords(target: plan.targetKeyID)
        let isUnproven =
            !census.keyIDs.contains(plan.targetKeyID) && !plan.expectedKeyIDs.contains(plan.targetKeyID)
        if old > 0, isUnproven {
            logger.warning(
                "No value is under \(target.id) yet, so nothing proves that the applications hold this key. Compare its check value with theirs, or pass --expect-check-value \(target.id):<theirs>",
                metadata: [LogKey.checkValue: "\(target.checkValue)"])
        }
        let current = census.totalRecords - old
        if plan.mode == .reencrypt, current > 0 {
            logger.warning(
                "\(current) records are under \(target.id) already and keep their data keys: re-encryption is for records under other keys. If those data keys may be known, re-encrypt to a further key (keygen --after \(target.id))"
            )
        }
        if old >= Self.wrapsWorthAWarning {
            logger.warning(
                "This job alone needs \(old) wraps under \(target.id); all writers of one key together may make 2^32 (NIST SP 800-38D, 8.3). Rotate table by table to further keys"
            )
        }
    }
}
