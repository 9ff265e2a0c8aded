import BatchQueue
import Synchronization

/// Holds the range that a lane has claimed beside the one in hand, until the lane is ready to read it ahead.
/// Filled by the lane's task, emptied on the lane's thread, which does not wait for it.
final class ClaimSlot: Sendable {
    private let lease = Mutex<Lease?>(nil)

    func put(_ claimed: Lease) {
        lease.withLock { $0 = claimed }
    }

    /// The range, which is the taker's from now on; nil where none has come yet.
    func take() -> Lease? {
        lease.withLock { lease in
            defer { lease = nil }
            return lease
        }
    }
}
