import Catalog
import Envelope
import Postgres

/// Turns the rows that a transaction has locked into the arrays of its UPDATE. One a lane: contexts, nonces
/// and buffers are kept from batch to batch, so that a row costs no allocation.
final class RowRewriter {
    private let cipher: EnvelopeCipher
    private let mode: RotationMode
    private let targetKeyID: String
    private var shape: [ColumnType] = []
    /// What an UPDATE is given, in step: rows by ctid, and one array a column, NULL where a value stays.
    private(set) var rows = BinaryArray(of: .tid)
    private(set) var values: [BinaryArray] = []
    /// For each element of `rows`, its row in the result that it came from.
    private(set) var sources: [Int] = []
    private(set) var failures: [Failure] = []
    /// Records in `values` that are not NULL.
    private(set) var rewrittenRecords = 0
    private(set) var bytesRead = 0
    /// What `rewriteNext` took of them; by the clock, read twice a piece.
    private(set) var duration: Duration = .zero
    private var nextRow = 0

    /// A record that stays as it is.
    struct Failure {
        let row: Int
        let column: Int
        let keyID: String?
        let reason: String
    }

    init(_ plan: JobPlan) throws(EnvelopeError) {
        cipher = try EnvelopeCipher(keyring: plan.keyring)
        mode = plan.mode
        targetKeyID = plan.targetKeyID
    }

    /// Forgets what was rewritten before; the next row is a result's first.
    func begin(_ columns: [EncryptedColumn]) {
        let types = columns.map(\.type)
        if types != shape {
            shape = types
            values = types.map { BinaryArray(of: $0.postgresType) }
        }
        clearArrays()
        failures.removeAll(keepingCapacity: true)
        rewrittenRecords = 0
        bytesRead = 0
        duration = .zero
        nextRow = 0
    }

    /// Rewrites the old values of the next rows of `result` (ctid, then the columns) into `rows` and `values`,
    /// in the place of what they held.
    /// - Parameters:
    ///   - bytes: ends the piece with the row that has read so many.
    ///   - refused: rows that the table itself refuses to store, with the reason; they become failures.
    /// - Returns: whether there was a row left.
    func rewriteNext(
        _ result: PostgresResult, _ columns: [EncryptedColumn], bytes: Int = .max,
        refused: [Int: String] = [:]
    ) -> Bool {
        clearArrays()
        let count = result.rowCount
        guard nextRow < count else { return false }
        let start = ContinuousClock.now
        defer { duration += ContinuousClock.now - start }
        let limit = bytes == .max ? .max : bytesRead + bytes
        while nextRow < count, bytesRead < limit {
            rewrite(nextRow, of: result, columns, refused.isEmpty ? nil : refused[nextRow])
            nextRow += 1
        }
        return true
    }

    private func rewrite(
        _ row: Int, of result: PostgresResult, _ columns: [EncryptedColumn], _ refusal: String?
    ) {
        var rewritten = 0
        for column in columns.indices {
            guard let value = result.bytes(row, column + 1) else {
                values[column].appendNull()
                continue
            }
            bytesRead += value.count
            let type = columns[column].type
            if let refusal {
                if !isCurrent(value, type) {
                    failures.append(
                        Failure(row: row, column: column, keyID: label(of: value, type), reason: refusal))
                }
                values[column].appendNull()
            } else if append(value, column, type, row: row) {
                rewritten += 1
            } else {
                values[column].appendNull()
            }
        }
        if rewritten > 0, let ctid = result.bytes(row, 0) {
            rows.append(ctid)
            sources.append(row)
            rewrittenRecords += rewritten
        } else {
            for column in columns.indices { values[column].removeLastNull() }
        }
    }

    /// Whether a value needs nothing, by parsing.
    func isCurrent(_ value: UnsafeRawBufferPointer, _ type: ColumnType) -> Bool {
        label(of: value, type) == targetKeyID
    }

    /// The key id of a value that is an envelope.
    func label(of value: UnsafeRawBufferPointer, _ type: ColumnType) -> String? {
        do throws(EnvelopeError) {
            return try ParsedEnvelope(parsing: type.envelope(in: value)).keyID.description
        } catch {
            return nil
        }
    }

    private func append(
        _ value: UnsafeRawBufferPointer, _ column: Int, _ type: ColumnType, row: Int
    ) -> Bool {
        do throws(EnvelopeError) {
            return try values[column].appendElement { bytes throws(EnvelopeError) in
                if type == .jsonb { bytes.append(ColumnType.jsonbVersion) }
                let envelope = type.envelope(in: value)
                switch mode {
                case .rewrap: return try cipher.rewrap(envelope, appendingTo: &bytes) == .rewritten
                case .reencrypt: return try cipher.reencrypt(envelope, appendingTo: &bytes) == .rewritten
                }
            }
        } catch {
            failures.append(
                Failure(
                    row: row, column: column,
                    keyID: error.keyID?.description ?? label(of: value, type), reason: error.description))
            return false
        }
    }

    private func clearArrays() {
        rows.removeAll()
        for index in values.indices { values[index].removeAll() }
        sources.removeAll(keepingCapacity: true)
    }

    /// Adds `rows` and `values` as parameters of the UPDATE.
    func appendParameters(to parameters: inout QueryParameters) {
        parameters.append(array: &rows)
        for index in values.indices { parameters.append(array: &values[index]) }
    }
}

extension ColumnType {
    static let jsonbVersion: UInt8 = 1

    /// The element type of the arrays that carry the column's values.
    var postgresType: PostgresType {
        switch self {
        case .bytea: .bytea
        case .text, .varchar: .text
        case .json: .json
        case .jsonb: .jsonb
        }
    }

    /// The envelope within a cell's binary format: `jsonb` puts a version byte before its text.
    func envelope(in cell: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        self == .jsonb && !cell.isEmpty ? UnsafeRawBufferPointer(rebasing: cell.dropFirst()) : cell
    }
}
