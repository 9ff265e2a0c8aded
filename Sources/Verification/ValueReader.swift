import Catalog
import Envelope
import Postgres

/// Opens the values of fetched ranges and counts them. What has to be named is marked by its row: only the
/// lane can ask for a row's id.
struct ValueReader {
    struct Mark {
        let row: Int
        let column: Int
        let finding: Finding
    }

    enum Finding {
        case failure(keyID: String?, reason: String)
        case suspect(nonce: UInt64, valueHash: Int)
    }

    private let work: DepthWork
    private let cipher: EnvelopeCipher
    private let target: String
    var tally: LaneTally
    private(set) var marks: [Mark] = []

    init(_ work: DepthWork) throws(EnvelopeError) {
        self.work = work
        cipher = try EnvelopeCipher(keyring: work.keyring)
        target = work.keyring.primary.id.description
        tally = LaneTally(work.dispenser.leaves)
    }

    /// Reads one answer: ctid, then a cell for each column, then the bytes of a row whose values are left out.
    mutating func read(
        _ result: PostgresResult, leaf: Int
    ) throws(EnvelopeError) -> (records: Int, bytes: Int) {
        marks.removeAll(keepingCapacity: true)
        var (records, bytes) = (0, 0)
        let leftOut = 1 + tally.columns[leaf].count
        for column in tally.columns[leaf].indices {
            var counts = LaneTally.Column()
            swap(&counts, &tally.columns[leaf][column])
            defer { swap(&counts, &tally.columns[leaf][column]) }
            for row in 0..<result.rowCount {
                guard let value = result.bytes(row, column + 1) else {
                    if result.bytes(row, leftOut) == nil { counts.nulls += 1 }
                    continue
                }
                records += 1
                bytes += value.count
                do throws(EnvelopeError) {
                    try open(value)
                    counts.good += 1
                    if work.depth == .values { noteNonce(of: value, row, column) }
                } catch {
                    try fail(error, row, column, &counts)
                }
            }
        }
        return (records, bytes)
    }

    @inline(__always)
    private func open(_ value: UnsafeRawBufferPointer) throws(EnvelopeError) {
        switch work.depth {
        case .values: try cipher.authenticate(value)
        case .keys, .labels: try cipher.unwrapDEK(of: value)
        }
    }

    @inline(__always)
    private mutating func noteNonce(of value: UnsafeRawBufferPointer, _ row: Int, _ column: Int) {
        let nonce = cipher.lastNoncePrefix
        if work.wantedNonces.isEmpty {
            tally.nonces.add(nonce)
        } else if work.wantedNonces.contains(nonce) {
            noteSuspect(value, nonce, row, column)
        }
    }

    /// The eight bytes of the nonce are not the whole of it: the ciphertext decides.
    private mutating func noteSuspect(
        _ value: UnsafeRawBufferPointer, _ nonce: UInt64, _ row: Int, _ column: Int
    ) {
        guard tally.suspects.count + marks.count < FailureList.capacity else { return }
        do throws(EnvelopeError) {
            let parsed = try ParsedEnvelope(parsing: value)
            var hasher = Hasher()
            hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: value[parsed.nonce.range]))
            hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: value[parsed.ciphertext.range]))
            marks.append(
                Mark(row: row, column: column, finding: .suspect(nonce: nonce, valueHash: hasher.finalize())))
        } catch {
            // It has just been opened.
        }
    }

    private mutating func fail(
        _ error: EnvelopeError, _ row: Int, _ column: Int, _ counts: inout LaneTally.Column
    ) throws(EnvelopeError) {
        if error.category == .internal { throw error }
        let keyID = error.keyID?.description
        if keyID == target { counts.unopened += 1 } else { counts.others[keyID, default: 0] += 1 }
        guard work.wantedNonces.isEmpty else { return }
        guard tally.failures.listed.count + marks.count < FailureList.capacity else {
            tally.failures.count(1)
            return
        }
        let reason =
            error.code == .unknownKey
            ? "under \(keyID ?? "another key"), not under \(target)" : error.description
        marks.append(Mark(row: row, column: column, finding: .failure(keyID: keyID, reason: reason)))
    }

    /// Takes the marked rows in, now that their ids are known.
    mutating func name(_ leaf: Int, idOfRow: (Int) -> [String]) {
        let table = work.dispenser.leaves[leaf].table
        for mark in marks {
            func record(_ keyID: String?, _ reason: String) -> FailedRecord {
                FailedRecord(
                    table: table.name, id: idOfRow(mark.row), column: table.columns[mark.column].name,
                    keyID: keyID, reason: reason)
            }
            switch mark.finding {
            case .failure(let keyID, let reason): tally.failures.append(record(keyID, reason))
            case .suspect(let nonce, let valueHash):
                tally.suspects.append(
                    LaneTally.Suspect(nonce: nonce, valueHash: valueHash, place: record(nil, "").place))
            }
        }
        marks.removeAll(keepingCapacity: true)
    }
}
