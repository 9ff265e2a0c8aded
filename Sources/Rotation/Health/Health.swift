/// What a process knows of its own state: when each part that its work needs last did its part, and what it has in
/// hand. Times are passed in.
///
/// *Ready* says that work is being done, or would be if there were any: judged by what the work itself did, such as the
/// last claim or heartbeat, not by a probe of its own. *Live* says that the process has not got stuck: it still tries,
/// whether the servers let it or not. Only a process that is not live gains from a restart.
package struct Health: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// What the work needs.
    package enum Part: String, Sendable, CaseIterable {
        case queue
        case database
        case lead
    }

    package enum Verdict: Sendable, Hashable {
        case healthy
        /// In words for a person; holds no secret.
        case unhealthy(String)
    }

    private struct Contact {
        /// How old the last success may be; nil where only a failure speaks against it.
        var limit: Duration?
        var lastSuccess: Instant
        var lastTry: Instant
        var failure: String?
    }

    /// A range that is longer in work than any of its statements may take is stuck on the database.
    package static let longestWork: Duration = .seconds(30)
    /// A part that was not even tried for so long: each try has a deadline far below.
    package static let longestSilence: Duration = .seconds(120)
    /// A range whose transaction should have ended by its own deadlines several times over.
    package static let longestStuckWork: Duration = .seconds(300)

    private var contacts: [Part: Contact] = [:]
    private var work: [UInt64: Instant] = [:]
    private var hasStarted = false
    private var isStopping = false

    package init() {}

    // MARK: What happens

    /// From now on the work needs `part`, and what was known of it is void.
    /// - Parameter limit: how old its last success may be; nil where it is not in use all the time.
    package mutating func expect(_ part: Part, within limit: Duration?, at now: Instant) {
        hasStarted = true
        contacts[part] = Contact(limit: limit, lastSuccess: now, lastTry: now, failure: nil)
    }

    /// The work does without `part` for now.
    package mutating func forget(_ part: Part) { contacts[part] = nil }

    package mutating func succeeded(_ part: Part, at now: Instant) {
        contacts[part]?.lastSuccess = now
        contacts[part]?.lastTry = now
        contacts[part]?.failure = nil
    }

    /// - Parameter reason: what is known to be no secret.
    package mutating func failed(_ part: Part, _ reason: String, at now: Instant) {
        contacts[part]?.lastTry = now
        contacts[part]?.failure = reason
    }

    /// A range is being worked on.
    package mutating func began(_ sequence: UInt64, at now: Instant) { work[sequence] = now }

    /// The database's part of a range is over, whatever came of it.
    package mutating func ended(_ sequence: UInt64) { work[sequence] = nil }

    package mutating func stop() { isStopping = true }

    // MARK: Verdicts

    package func readiness(at now: Instant) -> Verdict {
        if isStopping { return .unhealthy("stopping") }
        if !hasStarted { return .unhealthy("starting") }
        for part in Part.allCases {
            guard let contact = contacts[part] else { continue }
            let age = now - contact.lastSuccess
            if let limit = contact.limit {
                guard age > limit else { continue }
                return .unhealthy(
                    "\(part.rawValue): no success for \(age.components.seconds) s\(Self.because(contact.failure))"
                )
            }
            if contact.failure != nil {
                return .unhealthy("\(part.rawValue): failing\(Self.because(contact.failure))")
            }
        }
        if let oldest = work.values.min(), now - oldest > Self.longestWork {
            return .unhealthy("database: a range is in work for \((now - oldest).components.seconds) s")
        }
        return .healthy
    }

    package func liveness(at now: Instant) -> Verdict {
        for part in Part.allCases {
            guard let contact = contacts[part], contact.limit != nil else { continue }
            let silence = now - contact.lastTry
            if silence > Self.longestSilence {
                return .unhealthy("\(part.rawValue): not tried for \(silence.components.seconds) s")
            }
        }
        if let oldest = work.values.min(), now - oldest > Self.longestStuckWork {
            return .unhealthy("a range is stuck in work for \((now - oldest).components.seconds) s")
        }
        return .healthy
    }

    private static func because(_ failure: String?) -> String { failure.map { "; \($0)" } ?? "" }
}
