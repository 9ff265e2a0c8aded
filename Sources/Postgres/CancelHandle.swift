import CLibPQ
import Glibc

/// Cancels the statement that a session is running, from any thread. `@unchecked Sendable`: a `PGcancel`
/// is never written after its creation, and libpq documents `PQcancel` as safe from other threads.
package final class CancelHandle: @unchecked Sendable {
    private let raw: OpaquePointer

    init?(of connection: OpaquePointer) {
        guard let raw = PQgetCancel(connection) else { return nil }
        self.raw = raw
    }

    deinit {
        PQfreeCancel(raw)
    }

    /// Asks the server to cancel without waiting for the outcome: the statement's own answer tells.
    func cancelOnItsOwnThread() {
        let context = Unmanaged.passRetained(self).toOpaque()
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let handle = Unmanaged<CancelHandle>.fromOpaque(context).takeRetainedValue()
                do throws(PostgresError) {
                    try handle.cancel()
                } catch {
                    // The statement's own time-outs remain.
                }
                return nil
            }, context)
        if status == 0 {
            pthread_detach(thread)
        } else {
            Unmanaged<CancelHandle>.fromOpaque(context).release()
        }
    }

    /// Asks the server to cancel; blocks for a connection of its own. Whether it took effect shows in the
    /// statement's own answer (SQLSTATE 57014).
    package func cancel() throws(PostgresError) {
        var message = [CChar](repeating: 0, count: 256)
        guard PQcancel(raw, &message, Int32(message.count)) == 1 else {
            let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw PostgresError(.connectionFailed, "cancel: " + String(decoding: text, as: UTF8.self))
        }
    }
}
