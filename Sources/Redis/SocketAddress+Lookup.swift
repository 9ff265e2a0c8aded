import Dispatch
import Glibc
import Synchronization

extension SocketAddress {
    /// All addresses of a host, in the system's order of preference. A number is read on the spot; a name is
    /// looked up on another thread, since the system's resolver knows no deadline. A lookup that is given up
    /// ends by itself.
    static func lookUp(host: String, port: Int, until deadline: Deadline) throws(RedisError)
        -> [SocketAddress]
    {
        if let addresses = query(host, port, flags: AI_NUMERICHOST).addresses { return addresses }
        let outcome = LookupOutcome()
        DispatchQueue.global(qos: .userInitiated).async {
            outcome.put(query(host, port, flags: 0))
        }
        guard let answer = outcome.wait(deadline) else {
            throw RedisError(.connectionFailed, "the name \(host) was not resolved in time")
        }
        guard let addresses = answer.addresses, !addresses.isEmpty else {
            let reason = gai_strerror(answer.status).map { String(cString: $0) } ?? "error \(answer.status)"
            throw RedisError(.connectionFailed, "the name \(host) cannot be resolved: \(reason)")
        }
        return addresses
    }

    fileprivate struct Answer: Sendable {
        var status: Int32
        var addresses: [SocketAddress]?
    }

    private static func query(_ host: String, _ port: Int, flags: Int32) -> Answer {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else { return Answer(status: status) }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next {
            if let address = entry.pointee.ai_addr {
                addresses.append(SocketAddress(address, length: entry.pointee.ai_addrlen))
            }
            next = entry.pointee.ai_next
        }
        return Answer(status: 0, addresses: addresses)
    }
}

/// Where the looking-up thread leaves its answer, read or not.
private final class LookupOutcome: Sendable {
    private let answer = Mutex<SocketAddress.Answer?>(nil)
    private let arrived = DispatchSemaphore(value: 0)

    func put(_ value: SocketAddress.Answer) {
        answer.withLock { $0 = value }
        arrived.signal()
    }

    /// Nil once the deadline has passed.
    func wait(_ deadline: Deadline) -> SocketAddress.Answer? {
        guard arrived.wait(timeout: .now() + .milliseconds(Int(deadline.milliseconds))) == .success else {
            return nil
        }
        return answer.withLock { $0 }
    }
}
