import Glibc

/// A byte stream to one server, encrypted or not. Nothing in it blocks but `wait`.
final class Transport {
    private let socket: SocketHandle
    private let tls: TLSEngine?
    /// Ciphertext that the kernel has not taken yet; the rest of it is still with `tls`.
    private var departures = Departures()
    /// How many bytes of plaintext the last part of the ciphertext carries.
    private var underway = 0
    private let arrivals = Arrivals()

    /// The most plaintext of one TLS record.
    private static let recordSize = 16 << 10

    /// Connects, and shakes hands where `tls` is given and the address has a host.
    init(to address: RedisAddress, tls settings: TLSSettings?, until deadline: Deadline) throws(RedisError) {
        socket = try SocketHandle.connect(to: address, until: deadline)
        if let settings, let host = address.host {
            tls = try TLSEngine(settings, host: host)
        } else {
            tls = nil
        }
        do throws(RedisError) {
            try handshake(until: deadline)
        } catch {
            let code: RedisError.Code = error.code == .untrustedServer ? error.code : .connectionFailed
            throw RedisError(code, "no connection to \(address): \(error.message)")
        }
    }

    private func handshake(until deadline: Deadline) throws(RedisError) {
        guard let tls else { return }
        while true {
            let isDone = try tls.handshake()
            while try !flush() {
                guard try socket.wait(for: POLLOUT, until: deadline) else { throw handshakeTimedOut }
            }
            if isDone { return }
            while try !receiveCiphertext(tls) {
                guard try socket.wait(for: POLLIN, until: deadline) else { throw handshakeTimedOut }
            }
        }
    }

    private var handshakeTimedOut: RedisError {
        RedisError(.timedOut, "the TLS handshake took too long; does the port speak TLS?")
    }

    /// Sends a beginning of `bytes`, which are not empty.
    /// - Returns: how many bytes the kernel has taken whole; 0 where it takes nothing now, and then the next
    ///   call must begin with the same bytes.
    func send(_ bytes: UnsafeRawBufferPointer) throws(RedisError) -> Int {
        guard let tls else { return try socket.write(bytes) }
        if underway == 0 {
            underway = min(bytes.count, Self.recordSize)
            try tls.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(underway)))
        }
        guard try flush() else { return 0 }
        let sent = underway
        underway = 0
        return sent
    }

    /// Hands what has arrived to `body`. False where there is nothing yet.
    func receive(_ body: (UnsafeRawBufferPointer) throws(RedisError) -> Void) throws(RedisError) -> Bool {
        let count: Int
        if let tls {
            guard let plain = try readPlaintext(tls) else { return false }
            count = plain
        } else {
            guard let read = try socket.read(into: arrivals.bytes) else { return false }
            count = read
        }
        try body(arrivals.first(count))
        return true
    }

    /// Waits for something to arrive, or, where there is more to send, for room.
    /// - Returns: false once the deadline has passed.
    func wait(toSend: Bool, until deadline: Deadline) throws(RedisError) -> Bool {
        let events = toSend || !departures.isEmpty ? POLLIN | POLLOUT : POLLIN
        return try socket.wait(for: events, until: deadline)
    }

    // MARK: TLS

    private func readPlaintext(_ tls: TLSEngine) throws(RedisError) -> Int? {
        while true {
            let plain = try tls.read(into: arrivals.bytes)
            // A key update is answered as soon as it has been read.
            _ = try flush()
            if let plain { return plain }
            guard try receiveCiphertext(tls) else { return nil }
        }
    }

    private func receiveCiphertext(_ tls: TLSEngine) throws(RedisError) -> Bool {
        guard let count = try socket.read(into: arrivals.bytes) else { return false }
        try tls.receive(arrivals.first(count))
        return true
    }

    /// True once the kernel has taken all ciphertext.
    private func flush() throws(RedisError) -> Bool {
        guard let tls else { return true }
        while true {
            if departures.isEmpty { departures.fill { buffer in tls.takeOutgoing(into: buffer) } }
            if departures.isEmpty { return true }
            let count = try socket.write(departures.bytes)
            if count == 0 { return false }
            departures.remove(count)
        }
    }
}

/// Where bytes land on their way in; at one address, so that no closure stands around each read.
private struct Arrivals: ~Copyable {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)

    deinit {
        bytes.deallocate()
    }

    /// Valid until the next read.
    borrowing func first(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[..<count])
    }
}

/// Bytes on their way out, in one buffer: an array that grows and shrinks would move them for each write.
private struct Departures: ~Copyable {
    private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 16)
    private var range = 0..<0

    deinit {
        storage.deallocate()
    }

    var isEmpty: Bool { range.isEmpty }

    /// Valid until the next change.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[range]) }

    /// - Parameter body: writes into the buffer and says how many bytes.
    mutating func fill(_ body: (UnsafeMutableRawBufferPointer) -> Int) {
        range = 0..<body(storage)
    }

    mutating func remove(_ count: Int) {
        range = range.lowerBound + count..<range.upperBound
    }
}
