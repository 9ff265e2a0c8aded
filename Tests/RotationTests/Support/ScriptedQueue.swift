import BatchQueue

/// A queue that hands out what it was given, keeps account of who holds what, and can be told to fail.
actor ScriptedQueue: BatchQueue {
    struct Fault: Error {}

    private var pending: [Lease]
    private var inHand: Set<UInt64> = []
    private var claims = 0
    private var isClaimAwaited = false
    private var wakesClaim: CheckedContinuation<Void, Never>?
    private var wakesReport: CheckedContinuation<Void, Never>?
    private(set) var mostInHand = 0
    private(set) var results: [UInt64: BatchResult] = [:]
    private(set) var returned: [UInt64] = []
    private(set) var buried: [UInt64] = []
    /// The first report fails, once another range has been claimed meanwhile.
    private let failsFirstReport: Bool

    init(_ leases: [Lease], failsFirstReport: Bool = false) {
        pending = leases
        self.failsFirstReport = failsFirstReport
    }

    var held: Set<UInt64> { inHand }

    func claim() async throws -> Lease? {
        claims += 1
        if failsFirstReport, claims == 2 { await untilFirstReport() }
        guard !pending.isEmpty else { return nil }
        let lease = pending.removeFirst()
        inHand.insert(lease.sequence)
        mostInHand = max(mostInHand, inHand.count)
        wakesReport?.resume()
        wakesReport = nil
        return lease
    }

    private func untilFirstReport() async {
        if isClaimAwaited { return }
        await withCheckedContinuation { wakesClaim = $0 }
    }

    func acknowledge(_ lease: Lease, _ result: BatchResult) async throws -> AcknowledgeAnswer {
        if failsFirstReport, results.isEmpty, !isClaimAwaited {
            isClaimAwaited = true
            await withCheckedContinuation { report in
                wakesReport = report
                wakesClaim?.resume()
                wakesClaim = nil
            }
            throw Fault()
        }
        results[lease.sequence] = result
        return report(lease)
    }

    func handBack(_ lease: Lease, after delay: Duration, blockedSince: Int64?) -> AcknowledgeAnswer {
        returned.append(lease.sequence)
        return report(lease)
    }

    func split(_ lease: Lease, into parts: [BatchRange]) -> AcknowledgeAnswer { report(lease) }

    func bury(_ lease: Lease, reason: String) -> AcknowledgeAnswer {
        buried.append(lease.sequence)
        return report(lease)
    }

    private func report(_ lease: Lease) -> AcknowledgeAnswer {
        inHand.remove(lease.sequence) == nil ? .duplicate : .counted
    }
}
