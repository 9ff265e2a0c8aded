import Catalog
import Envelope
import Postgres
import Verification

/// Proves on sampled values that the configured keys are the ones that the data was written under, before
/// anything is changed.
struct KeyProof {
    private let plan: JobPlan
    private let cipher: EnvelopeCipher
    private let keyIDs: [String]

    /// First a few values, since one that opens is proof; then enough that bad ones in front do not matter.
    private static let sampleSizes = [20, 1_000]

    init(_ plan: JobPlan) throws {
        self.plan = plan
        cipher = try EnvelopeCipher(keyring: plan.keyring)
        keyIDs = plan.keyring.ids.map(\.description)
    }

    /// - Throws: `wrongKey` for a configured key that opens none of the sampled, well-formed values under its
    ///   id. Single values that do not open are failed records, not a wrong key.
    func check(_ census: Census, _ session: PostgresSession) throws {
        for (index, keyID) in keyIDs.enumerated() where census.keyIDs.contains(keyID) {
            var samples = 0
            for size in Self.sampleSizes {
                samples = 0
                if try opens(index, census, size, session, &samples) {
                    samples = 0
                    break
                }
            }
            guard samples > 0, let key = plan.keyring.keys.first(where: { $0.id.description == keyID }) else {
                continue
            }
            throw RotationError(
                .wrongKey,
                "the key configured as \(keyID) (check value \(key.checkValue)) opens none of \(samples) sampled values "
                    + "under that id: it has other bytes than the key they were written under. Compare check values with "
                    + "the application's, and correct SECRETS_ENCRYPTION_KEY or SECRETS_ENCRYPTION_KEY_PREVIOUS. "
                    + "Nothing has been changed")
        }
    }

    /// Whether one of the sampled values under the key opens.
    private func opens(
        _ keyIndex: Int, _ census: Census, _ size: Int, _ session: PostgresSession, _ samples: inout Int
    ) throws -> Bool {
        let label = Census.Label.key(keyIDs[keyIndex])
        for table in plan.tables {
            for (column, name) in table.columns.map(\.name).enumerated() {
                let group = Census.Group(table: table.name, column: name, label: label)
                guard census.records[group] != nil else { continue }
                for leaf in table.leaves {
                    let statement = CensusStatements(table, leaf, keyIDs: keyIDs).sample[column]
                    for code in [CensusStatements.Code.firstKey + keyIndex, CensusStatements.Code.unlabelled]
                    {
                        var parameters = QueryParameters()
                        parameters.append(int4: Int32(code))
                        parameters.append(int8: Int64(size))
                        let result = try session.query(statement, &parameters)
                        if opensOne(of: result, keyIDs[keyIndex], &samples) { return true }
                    }
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
