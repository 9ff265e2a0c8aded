/// Whether the server can bear the job, from the conditions that were found at this look.
package struct ServerGuard: Sendable {
    package enum Verdict: Sendable, Hashable {
        case clear
        /// Nothing is handed out for now.
        case hold(GuardConditions.Breach)
        /// It has lasted too long: the job ends.
        case stop(String)
    }

    private let grace: Duration
    private var heldSince: ContinuousClock.Instant?

    package init(grace: Duration) {
        self.grace = grace
    }

    /// - Parameter breaches: what is beyond its limit now, most important first.
    package mutating func judge(_ breaches: [GuardConditions.Breach], now: ContinuousClock.Instant) -> Verdict
    {
        guard let breach = breaches.first else {
            heldSince = nil
            return .clear
        }
        let since = heldSince ?? now
        heldSince = since
        if now - since < grace { return .hold(breach) }
        return .stop("\(breach.reason), for \((now - since).components.seconds) s now")
    }
}

/// Compares what the server says with the limits. Some conditions carry no time of their own: they are timed
/// from when they were first seen.
package struct GuardConditions: Sendable {
    /// What is beyond its limit, for metrics and in words.
    package struct Breach: Sendable, Hashable {
        package let cause: ThrottleCause
        package let reason: String
    }

    /// What one look at the server found; nil and empty where nothing is looked at, or nothing is there.
    package struct Reading: Sendable {
        /// The slot that retains most WAL, and how many bytes.
        package var slot: (name: String, bytes: Int)?
        package var isArchivingFailing = false
        package var freeDisk: Int?
        /// Why COMMIT would wait for a standby that is missing.
        package var missingStandby: String?
        /// Who holds VACUUM's horizon back: named, with the oldest transaction id that they need, and since how
        /// many seconds where that is known.
        package var horizons: [(holder: String, xmin: String, seconds: Double?)] = []

        package init() {}
    }

    private let limits: GuardLimits
    private var archivingFailsSince: ContinuousClock.Instant?
    private var horizonSince: [String: ContinuousClock.Instant] = [:]

    package init(_ limits: GuardLimits) {
        self.limits = limits
    }

    /// What is beyond its limit.
    package mutating func breaches(_ reading: Reading, now: ContinuousClock.Instant) -> [Breach] {
        var breaches: [Breach] = []
        func add(_ cause: ThrottleCause, _ reason: String) {
            breaches.append(Breach(cause: cause, reason: reason))
        }
        if let missing = reading.missingStandby { add(.synchronousStandby, missing) }
        if let free = reading.freeDisk, let limit = limits.freeDisk, free < limit {
            add(
                .freeDisk,
                "\(Self.size(free)) free on the server's disk, below \(Self.size(limit)) (min-free-disk)")
        }
        if let slot = reading.slot, let limit = limits.slotWAL, slot.bytes > limit {
            add(
                .slotWAL,
                "replication slot \(slot.name) retains \(Self.size(slot.bytes)) of WAL, above \(Self.size(limit)) (max-slot-wal)"
            )
        }
        archivingFailsSince = reading.isArchivingFailing ? archivingFailsSince ?? now : nil
        if let since = archivingFailsSince, let limit = limits.archiveFailing, now - since >= limit {
            add(
                .archiveFailing,
                "WAL archiving has been failing for \((now - since).components.seconds) s (max-archive-failing)"
            )
        }
        breaches += horizonBreaches(reading, now: now)
        return breaches
    }

    private mutating func horizonBreaches(
        _ reading: Reading, now: ContinuousClock.Instant
    ) -> [Breach] {
        guard let limit = limits.horizonAge else { return [] }
        var seen: [String: ContinuousClock.Instant] = [:]
        var breaches: [Breach] = []
        for horizon in reading.horizons {
            let key = "\(horizon.holder) \(horizon.xmin)"
            let since = horizonSince[key] ?? now
            seen[key] = since
            let seconds = max(horizon.seconds ?? 0, (now - since) / .seconds(1))
            if seconds > limit / .seconds(1) {
                let reason =
                    "\(horizon.holder) holds VACUUM's horizon back for \(Int(seconds)) s (max-horizon-age)"
                breaches.append(Breach(cause: .horizonAge, reason: reason))
            }
        }
        horizonSince = seen
        return breaches
    }

    static func size(_ bytes: Int) -> String {
        for (unit, factor) in [("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)] where bytes >= factor {
            return "\(LagGovernor.tenths(Double(bytes) / Double(factor))) \(unit)"
        }
        return "\(bytes) bytes"
    }
}
