import Catalog
import Envelope
import Logging
import Postgres
import Verification

/// Proves on sampled values that the configured keys are the ones that the data was written under, before
/// anything is changed.
struct KeyProof {
    private let plan: JobPlan
    private let cipher: EnvelopeCipher
    private let keyIDs: [String]
    private let logger: Logger

    /// Values looked at in one place of a table; one that opens is proof.
    private static let sampleSize = 100
    /// So many values that do not open are no single damaged ones any more.
    private static let enoughToRefuse = 20

    init(_ plan: JobPlan, _ logger: Logger) throws {
        self.plan = plan
        self.logger = logger
        cipher = try EnvelopeCipher(keyring: plan.keyring)
        keyIDs = plan.keyring.ids.map(\.description)
    }

    /// Looks at well-formed values under each configured key, where the census met them.
    ///
    /// A target that opens none is refused, since everything would be written under it. Another key that opens
    /// none is refused from 20 values on; fewer may just be damaged, and become failed records. A key whose
    /// check value the operator expects is proven by that.
    /// - Throws: `wrongKey`.
    func check(_ census: Census, _ session: PostgresSession) throws {
        for (index, key) in plan.keyring.keys.enumerated()
        where census.keyIDs.contains(keyIDs[index]) && !plan.expectedKeyIDs.contains(keyIDs[index]) {
            var samples = 0
            if try opens(index, census, session, &samples) || samples == 0 { continue }
            let facts =
                "the key configured as \(key.id) (check value \(key.checkValue)) opens none of \(samples) sampled "
                + "values under that id"
            if index > 0 && samples < Self.enoughToRefuse {
                logger.warning("Damaged values, or a wrong key: \(facts). They will be failed records")
                continue
            }
            throw RotationError(
                .wrongKey,
                "\(facts): it has other bytes than the key they were written under. Compare check values with the "
                    + "application's, and correct SECRETS_ENCRYPTION_KEY or SECRETS_ENCRYPTION_KEY_PREVIOUS. If the "
                    + "key is right and these values are damaged, say so with --expect-check-value "
                    + "\(key.id):\(key.checkValue). Nothing has been changed")
        }
    }

    /// Whether one of the sampled values under the key opens.
    private func opens(
        _ keyIndex: Int, _ census: Census, _ session: PostgresSession, _ samples: inout Int
    ) throws -> Bool {
        let label = Census.Label.key(keyIDs[keyIndex])
        for table in plan.tables {
            for (column, name) in table.columns.map(\.name).enumerated() {
                let group = Census.Group(table: table.name, column: name, label: label)
                for place in census.places[group] ?? [] {
                    guard let leaf = table.leaves.first(where: { $0.oid == place.leaf }) else { continue }
                    let statement = CensusStatements(table, leaf, keyIDs: keyIDs).sample[column]
                    var parameters = QueryParameters()
                    parameters.append(int8: Int64(place.blocks.lowerBound))
                    parameters.append(int8: Int64(place.blocks.upperBound))
                    parameters.append(int4: Int32(CensusStatements.Code.firstKey + keyIndex))
                    parameters.append(int8: Int64(Self.sampleSize))
                    let result = try session.query(statement, &parameters)
                    if opensOne(of: result, keyIDs[keyIndex], &samples) { return true }
                }
            }
        }
        return false
    }

    private func opensOne(of result: PostgresResult, _ keyID: String, _ samples: inout Int) -> Bool {
        for row in 0..<result.rowCount {
            guard let value = result.bytes(row, 0) else { continue }
            do throws(EnvelopeError) {
                guard try ParsedEnvelope(parsing: value).keyID.description == keyID else { continue }
            } catch {
                continue
            }
            do throws(EnvelopeError) {
                _ = try cipher.unwrapDEK(of: value)
                return true
            } catch {
                samples += 1
            }
        }
        return false
    }
}
