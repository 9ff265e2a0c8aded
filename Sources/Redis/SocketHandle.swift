import Glibc

/// Owns a connected, non-blocking socket. Everything that waits goes through `wait`, which has a deadline.
struct SocketHandle: ~Copyable {
    private let descriptor: Int32

    private init(takingOwnership descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Connects to the first address of `target` that answers, and tries each in turn within its share of
    /// the time.
    static func connect(to target: RedisAddress, until deadline: Deadline) throws(RedisError) -> SocketHandle
    {
        let addresses: [SocketAddress]
        switch target {
        case .tcp(let host, let port):
            addresses = try SocketAddress.lookUp(host: host, port: port, until: deadline)
        case .unix(let path): addresses = [try SocketAddress(unix: path)]
        }
        var reason = "no address"
        for (index, address) in addresses.enumerated() {
            let share = deadline.share(of: addresses.count - index)
            do {
                return try connect(to: address, until: share)
            } catch {
                reason = error.message
            }
        }
        throw RedisError(.connectionFailed, "no connection to \(target): \(reason)")
    }

    private static func connect(to address: SocketAddress, until deadline: Deadline) throws(RedisError)
        -> SocketHandle
    {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw failed(errno) }
        let handle = SocketHandle(takingOwnership: descriptor)
        while true {
            let status = address.withPointer { Glibc.connect(descriptor, $0, $1) }
            let number = errno
            if status == 0 { break }
            if number == EAGAIN && !deadline.hasPassed {
                // A unix socket whose queue of connections is full; it cannot be waited for.
                usleep(10_000)
                continue
            }
            guard number == EINPROGRESS || number == EINTR else { throw failed(number) }
            try handle.awaitConnection(until: deadline)
            break
        }
        if address.family != AF_UNIX { handle.setTCPOptions() }
        return handle
    }

    private borrowing func awaitConnection(until deadline: Deadline) throws(RedisError) {
        guard try wait(for: POLLOUT, until: deadline) else {
            throw RedisError(.connectionFailed, "no answer in time")
        }
        var number: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size) == 0 else {
            throw Self.failed(errno)
        }
        if number != 0 { throw Self.failed(number) }
    }

    /// No delay for small commands; a peer that is gone is noticed on an idle connection within half a
    /// minute. Options that a kernel refuses are a loss of comfort only: deadlines stand without them.
    private borrowing func setTCPOptions() {
        let options: [(Int32, Int32, Int32)] = [
            (Int32(IPPROTO_TCP), TCP_NODELAY, 1), (SOL_SOCKET, SO_KEEPALIVE, 1),
            (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15), (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5),
            (Int32(IPPROTO_TCP), TCP_KEEPCNT, 3),
        ]
        for (level, name, value) in options {
            var value = value
            _ = setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Waits until the socket is ready. False once the deadline has passed.
    borrowing func wait(for events: Int32, until deadline: Deadline) throws(RedisError) -> Bool {
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let ready = poll(&entry, 1, deadline.milliseconds)
            if ready > 0 { return true }
            if ready == 0 && deadline.hasPassed { return false }
            if ready < 0 && errno != EINTR { throw lost(errno) }
        }
    }

    /// Reads what is there: a count of bytes, or nil where there is nothing yet.
    /// - Throws: `connectionLost`, also where the peer has closed.
    borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(RedisError) -> Int? {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return count }
            if count == 0 { throw RedisError(.connectionLost, "the server closed the connection") }
            if errno == EAGAIN || errno == EWOULDBLOCK { return nil }
            if errno != EINTR { throw lost(errno) }
        }
    }

    /// Writes what the kernel takes; 0 where it takes nothing now. Never raises SIGPIPE.
    borrowing func write(_ buffer: UnsafeRawBufferPointer) throws(RedisError) -> Int {
        while true {
            let count = send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return count }
            if errno == EAGAIN || errno == EWOULDBLOCK { return 0 }
            if errno != EINTR { throw lost(errno) }
        }
    }

    private borrowing func lost(_ number: Int32) -> RedisError {
        RedisError(.connectionLost, "the connection broke: \(PrintableText.systemError(number))")
    }

    private static func failed(_ number: Int32) -> RedisError {
        RedisError(.connectionFailed, PrintableText.systemError(number))
    }
}
