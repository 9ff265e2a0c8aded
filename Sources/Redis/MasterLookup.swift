import Glibc

/// Asks sentinels for the master, until one names a server that is one.
struct MasterLookup {
    let sentinels: [RedisAddress]
    let master: String
    let settings: RedisSettings

    /// During a failover the sentinels still name the old master, or a replica that is not promoted yet.
    private static let pause: Duration = .milliseconds(100)

    /// - Throws: `invalidSettings` where every sentinel that answers knows no such master; else the last
    ///   reason, once the time is over.
    func dial(_ greeting: NodeLink.Greeting, until deadline: Deadline) throws(RedisError) -> NodeLink {
        while true {
            do throws(RedisError) {
                return try dialOnce(greeting, until: deadline)
            } catch let error where error.isRetriable && deadline.remaining > Self.pause {
                usleep(useconds_t(Self.pause.components.attoseconds / 1_000_000_000_000))
            }
        }
    }

    private func dialOnce(_ greeting: NodeLink.Greeting, until deadline: Deadline) throws(RedisError)
        -> NodeLink
    {
        var failure: RedisError?
        var isUnknown = false
        for (index, sentinel) in sentinels.enumerated() {
            // One share each for the sentinels left, and one for the master.
            let share = deadline.share(of: sentinels.count - index + 1)
            do throws(RedisError) {
                guard let address = try ask(sentinel, until: share) else {
                    isUnknown = true
                    continue
                }
                return try NodeLink.dial(address, settings, greeting, until: deadline.share(of: 2))
            } catch {
                // What no waiting mends says more than a sentinel that is away.
                if failure?.isRetriable ?? true { failure = error }
            }
        }
        if isUnknown && failure == nil {
            throw RedisError(
                .invalidSettings, "no sentinel knows the master \(PrintableText.short(master)) of REDIS_URL")
        }
        throw failure ?? RedisError(.connectionFailed, "no sentinel to ask")
    }

    /// The master's address; nil where this sentinel knows none of that name.
    private func ask(_ sentinel: RedisAddress, until deadline: Deadline) throws(RedisError) -> RedisAddress? {
        let link = try NodeLink.dial(
            sentinel, settings, NodeLink.Greeting(credentials: settings.sentinelCredentials), until: deadline)
        let question = try CommandBuffer([["SENTINEL", "get-master-addr-by-name", .text(master)]])
        let results = link.exchange(question, patience: deadline.remaining)
        guard let reply = try results.first?.get().unlessNull else { return nil }
        let parts = try reply.elements()
        guard parts.count == 2,
            let address = RedisAddress(host: try parts[0].text()[...], port: try parts[1].text()[...])
        else { throw .unexpected("sentinel \(sentinel) names no address of the master") }
        return address
    }
}
