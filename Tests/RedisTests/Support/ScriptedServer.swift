import Glibc
import TestSupport

/// A server that follows a script and not what it is asked: for each connection one list of steps.
final class ScriptedServer: @unchecked Sendable {
    // Sendable: constants, but for `listener`, which only the thread uses after `init`.
    enum Step: Sendable {
        /// Waits until this many bytes in all have come from the client.
        case read(Int)
        case write(String)
        /// One byte at a time, with a pause in between.
        case drip(String, microseconds: UInt32)
        case pause(microseconds: UInt32)
        /// Closes with a reset, so that nothing of what was written before may arrive either.
        case reset
    }

    let port: Int
    private let listener: LoopbackListener

    init(_ connections: [[Step]], port wanted: Int = 0) throws {
        listener = try LoopbackListener(port: wanted)
        port = listener.port
        let descriptor = listener.descriptor
        let box = Unmanaged.passRetained(Plan(connections, descriptor, listener)).toOpaque()
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Plan>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, box)
        pthread_detach(thread)
    }

    private final class Plan {
        let connections: [[Step]]
        let descriptor: Int32
        let listener: LoopbackListener

        init(_ connections: [[Step]], _ descriptor: Int32, _ listener: LoopbackListener) {
            self.connections = connections
            self.descriptor = descriptor
            self.listener = listener
        }

        func run() {
            for steps in connections {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { return }
                run(steps, client)
                close(client)
            }
        }

        private func run(_ steps: [Step], _ client: Int32) {
            var received = 0
            var buffer = [UInt8](repeating: 0, count: 65536)
            for step in steps {
                switch step {
                case .read(let count):
                    while received < count {
                        let got = recv(client, &buffer, min(buffer.count, count - received), 0)
                        guard got > 0 else { return }
                        received += got
                    }
                case .write(let text):
                    send(client, text, text.utf8.count, Int32(MSG_NOSIGNAL))
                case .drip(let text, let pause):
                    for byte in text.utf8 {
                        var byte = byte
                        guard send(client, &byte, 1, Int32(MSG_NOSIGNAL)) == 1 else { return }
                        usleep(pause)
                    }
                case .pause(let microseconds): usleep(microseconds)
                case .reset:
                    var option = linger(l_onoff: 1, l_linger: 0)
                    setsockopt(client, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
                    return
                }
            }
        }
    }
}
