import Glibc

/// An address as the kernel takes it.
struct SocketAddress: Sendable {
    private let storage: sockaddr_storage
    private let length: socklen_t
    let family: Int32

    /// What fits into `sun_path` with its terminating zero.
    static let longestPath = 107

    init(_ address: UnsafePointer<sockaddr>, length: socklen_t) {
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { bytes in
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
        }
        self.storage = storage
        self.length = length
        self.family = Int32(address.pointee.sa_family)
    }

    init(unix path: String) throws(RedisError) {
        let bytes = Array(path.utf8)
        guard bytes.count <= Self.longestPath, !bytes.contains(0) else {
            throw RedisError(.invalidSettings, "a socket's path exceeds \(Self.longestPath) bytes")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        self = withUnsafePointer(to: address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                SocketAddress(address, length: socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
