/// Where and how to connect. Made from `REDIS_URL`; holds passwords, which nothing shows.
package struct RedisSettings: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    package enum Target: Sendable, Equatable {
        /// A server, or any node of a cluster.
        case server(RedisAddress)
        /// Sentinels, asked in turn on every dial for the address of a master.
        case sentinels([RedisAddress], master: String)
    }

    package var target: Target
    package var credentials: RedisCredentials?
    package var sentinelCredentials: RedisCredentials?
    package var database: Int = 0
    /// Nil for an unencrypted connection. Applies to sentinels and cluster nodes too.
    package var tls: TLSSettings?
    /// Shown by `CLIENT LIST`, so that an operator tells our connections from others.
    package var clientName: String
    /// From name resolution to a session that takes commands, sentinels included.
    package var connectTimeout: Duration = .seconds(5)
    /// The longest wait for one answer; a blocking command's own waiting time comes on top.
    package var answerTimeout: Duration = .seconds(5)
    /// The largest answer that is taken, in bytes on the wire.
    package var replyLimit = 64 << 20

    package init(_ target: Target, clientName: String) {
        self.target = target
        self.clientName = clientName
    }

    /// Host, port and database; for sentinels their master's name.
    package var description: String {
        switch target {
        case .server(.unix(let path)): "\(path)?db=\(database)"
        case .server(let address): "\(address)/\(database)"
        case .sentinels(let addresses, let master):
            "\(master) of \(addresses.map(\.description).joined(separator: ","))/\(database)"
        }
    }

    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
