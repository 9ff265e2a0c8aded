import CLibPQ
import Glibc

/// The answer to one statement, owned; its cells are in PostgreSQL's binary format. Used on the session's
/// thread alone.
package final class PostgresResult {
    private let raw: OpaquePointer

    init(takingOwnership raw: OpaquePointer) {
        self.raw = raw
    }

    deinit {
        PQclear(raw)
    }

    var status: ExecStatusType { PQresultStatus(raw) }

    package var rowCount: Int { Int(PQntuples(raw)) }
    package var columnCount: Int { Int(PQnfields(raw)) }

    /// The command tag without its counts: `COMMIT`, `ROLLBACK`, `UPDATE`, …
    package var commandTag: String {
        guard let status = PQcmdStatus(raw) else { return "" }
        return String(String(cString: status).prefix { $0 != " " })
    }

    /// Rows inserted, updated or deleted; 0 for other statements.
    package var affectedRows: Int {
        guard let text = PQcmdTuples(raw) else { return 0 }
        return Int(String(cString: text)) ?? 0
    }

    /// A cell's bytes, valid as long as this result; nil for NULL.
    package func bytes(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer? {
        if PQgetisnull(raw, Int32(row), Int32(column)) == 1 { return nil }
        let length = Int(PQgetlength(raw, Int32(row), Int32(column)))
        guard let start = PQgetvalue(raw, Int32(row), Int32(column)) else { return nil }
        return UnsafeRawBufferPointer(start: start, count: length)
    }

    /// A cell of a text-like type (`text`, `name`, `"char"`, …).
    package func string(_ row: Int, _ column: Int) -> String? {
        bytes(row, column).map { String(decoding: $0, as: UTF8.self) }
    }

    /// A cell of type `smallint`, `integer`, `bigint` or `oid`.
    package func integer(_ row: Int, _ column: Int) -> Int? {
        guard let bytes = bytes(row, column) else { return nil }
        switch bytes.count {
        case 2: return Int(Int16(bigEndian: bytes.loadUnaligned(as: Int16.self)))
        case 4: return Int(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self)))
        case 8: return Int(Int64(bigEndian: bytes.loadUnaligned(as: Int64.self)))
        default: return nil
        }
    }

    /// A cell of type `oid`, which is unsigned.
    package func oid(_ row: Int, _ column: Int) -> UInt32? {
        guard let bytes = bytes(row, column), bytes.count == 4 else { return nil }
        return UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
    }

    /// A cell of type `boolean`; NULL is nil.
    package func bool(_ row: Int, _ column: Int) -> Bool? {
        guard let bytes = bytes(row, column), bytes.count == 1 else { return nil }
        return bytes[0] != 0
    }

    /// The server's error in this result.
    func serverError(file: String = #fileID, line: Int = #line) -> PostgresError {
        let state = field(REENCRYPT_DIAG_SQLSTATE)
        guard let state else {
            let text = PQresultErrorMessage(raw).map { String(cString: $0) } ?? ""
            return PostgresError(
                .connectionLost, text.split(separator: "\n").first.map(String.init) ?? "no message",
                file: file, line: line)
        }
        let isRaised = field(REENCRYPT_DIAG_SOURCE_FUNCTION) == "exec_stmt_raise"
        let message =
            isRaised || SQLState(state).mayQuoteValues
            ? "its message may quote a row's contents; it is in the server's log"
            : String((field(REENCRYPT_DIAG_MESSAGE_PRIMARY) ?? "no message").prefix(300))
        return PostgresError(
            .server, message, sqlState: SQLState(state), constraint: field(REENCRYPT_DIAG_CONSTRAINT_NAME),
            file: file, line: line)
    }

    private func field(_ code: Int32) -> String? {
        PQresultErrorField(raw, code).map { String(cString: $0) }
    }
}
