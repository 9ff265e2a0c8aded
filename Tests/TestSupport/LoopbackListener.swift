import Glibc

/// A listening socket on loopback that does nothing: the kernel accepts, and nobody answers.
package final class LoopbackListener {
    package let descriptor: Int32
    package let port: Int

    /// - Parameter wanted: 0 for any free port.
    package init(backlog: Int32 = 16, port wanted: Int = 0) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(wanted).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = descriptor
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(socket, pointer, size) | listen(socket, backlog) | getsockname(socket, pointer, &size)
            }
        }
        guard status == 0 else { throw NotYet(what: "no socket listens on port \(wanted): errno \(errno)") }
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit {
        close(descriptor)
    }
}
