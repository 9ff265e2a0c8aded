import CLibPQ
import Glibc

/// Owns a `PGconn`. Everything that waits goes through `wait`, which has a deadline.
struct ConnectionHandle: ~Copyable {
    let raw: OpaquePointer

    private init(takingOwnership raw: OpaquePointer) {
        self.raw = raw
    }

    /// Connects without ever blocking longer than the deadline (name resolution excepted, which libpq does
    /// with the system's resolver).
    /// - Throws: `connectionFailed`, with libpq's message, which names host and reason but no password.
    static func connect(_ settings: ConnectionSettings) throws(PostgresError) -> ConnectionHandle {
        let pairs = settings.keywords
        let keywords = CStringArray(pairs.map(\.0))
        let values = CStringArray(pairs.map(\.1))
        guard let raw = PQconnectStartParams(keywords.pointer, values.pointer, 1) else {
            throw PostgresError(.connectionFailed, "libpq could not allocate a connection")
        }
        let handle = ConnectionHandle(takingOwnership: raw)
        PQsetNoticeReceiver(raw, { _, _ in }, nil)  // a trigger's notice may hold a row's contents
        PQsetErrorVerbosity(raw, PQERRORS_VERBOSE)  // puts the SQLSTATE into what ConnectionRefusal reads
        let deadline = ContinuousClock.now.advanced(by: settings.connectTimeout)
        var wanted = PGRES_POLLING_WRITING
        while PQstatus(raw) != CONNECTION_BAD {
            let events = wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT
            guard try handle.wait(for: Int16(events), until: deadline) else {
                throw PostgresError(
                    .connectionFailed, "no connection within \(settings.connectTimeout); is the host right?")
            }
            wanted = PQconnectPoll(raw)
            if wanted == PGRES_POLLING_OK {
                PQsetErrorVerbosity(raw, PQERRORS_DEFAULT)
                PQsetnonblocking(raw, 1)
                return handle
            }
            if wanted == PGRES_POLLING_FAILED { break }
        }
        let refusal = ConnectionRefusal(handle.errorMessage)
        throw PostgresError(.connectionFailed, refusal.message, sqlState: refusal.sqlState)
    }

    deinit {
        PQfinish(raw)
    }

    /// libpq's last message on this connection, in one line.
    var errorMessage: String {
        guard let text = PQerrorMessage(raw) else { return "unknown error" }
        let lines = String(cString: text).split(separator: "\n").joined(separator: "; ")
        return lines.isEmpty ? "the connection broke without a message" : lines
    }

    /// Waits until the socket is ready. False once the deadline has passed.
    func wait(for events: Int16, until deadline: ContinuousClock.Instant) throws(PostgresError) -> Bool {
        while true {
            let socket = PQsocket(raw)
            guard socket >= 0 else { throw PostgresError(.connectionLost, errorMessage) }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { return false }
            let (seconds, attoseconds) = left.components
            let milliseconds = min(Int64(Int32.max), seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
            var descriptor = pollfd(fd: socket, events: events, revents: 0)
            let ready = poll(&descriptor, 1, Int32(milliseconds))
            if ready > 0 { return true }
            if ready < 0 && errno != EINTR {
                throw PostgresError(.connectionLost, "poll failed with errno \(errno)")
            }
        }
    }
}

/// A NULL-terminated array of C strings, alive as long as this object.
private final class CStringArray {
    private let storage: [UnsafeMutablePointer<CChar>?]
    private let buffer: UnsafeMutableBufferPointer<UnsafePointer<CChar>?>

    init(_ strings: [String]) {
        storage = strings.map { strdup($0) } + [nil]
        buffer = .allocate(capacity: storage.count)
        _ = buffer.initialize(from: storage.map { UnsafePointer($0) })
    }

    deinit {
        for case let string? in storage {
            // One of the strings is the connection URI with its password.
            explicit_bzero(string, strlen(string))
            free(string)
        }
        buffer.deallocate()
    }

    var pointer: UnsafePointer<UnsafePointer<CChar>?>? { UnsafePointer(buffer.baseAddress) }
}
