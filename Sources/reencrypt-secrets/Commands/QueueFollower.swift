import BatchQueue
import FoundationEssentials
import Rotation

/// What a coordinator knows of the queue's job from one look to the next: whether it may lead, has to end, or is told
/// by a Redis that has lost data.
///
/// A process that was away must not launch a job where its own has ended meanwhile, perhaps been rolled back. What it
/// does not see is believed to have gone on only for `longestGap` after it was last known.
struct QueueFollower {
    typealias Job = QueueMonitor.StoredJob
    typealias Instant = ContinuousClock.Instant

    enum Step: Equatable {
        /// Take the lead, if it is free: of the job on the queue where it runs, else of a new one.
        case lead
        /// The job ended under another coordinator.
        case ended(Job)
        /// Another job has followed.
        case movedOn
    }

    /// Longer than this nobody can be known not to have led, and ended, another job.
    static let longestGap = Leadership.longestGap

    /// The job that was seen running, or led.
    private var followed: (id: String, startedAt: Int?)?
    /// What was on the queue when this process came.
    private var first: (id: String?, startedAt: Int)?
    /// When it was last known what the queue's job is.
    private var lastKnown: Instant?
    /// Redis shows less than this process has seen.
    private(set) var hasLostData = false

    /// - Parameters:
    ///   - job: what Redis shows; nil where it shows no job.
    ///   - instant: of before Redis was asked, so that a process that froze since knows how long.
    ///   - isOurs: whether a job has the target of this process.
    mutating func look(_ job: Job?, at instant: Instant, isOurs: (Job) -> Bool) -> Step {
        let isFirst = first == nil
        if isFirst { first = (job?.id, job?.startedAt ?? 0) }
        hasLostData = false
        if let job, job.isRunning {
            guard followed == nil || followed?.id == job.id || isOurs(job) else { return .movedOn }
            followed = (job.id, job.startedAt)
            lastKnown = instant
            return .lead
        }
        if isFirst || followed == nil && job?.id == first?.id {
            lastKnown = instant
            return .lead
        }
        if let job, job.id == followed?.id { return .ended(job) }
        guard let job, isLater(job) else {
            hasLostData = true
            return .lead
        }
        return isOurs(job) ? .ended(job) : .movedOn
    }

    /// Whether a job began after what was seen last; an earlier one is what an older snapshot shows.
    private func isLater(_ job: Job) -> Bool {
        guard let followed else { return job.startedAt > (first?.startedAt ?? 0) }
        return job.startedAt > (followed.startedAt ?? .max)
    }

    /// Whether somebody else could have led, and ended, a job between the last look and the instant at which the
    /// locks were taken.
    func isTooLate(_ taken: Instant) -> Bool {
        guard let lastKnown else { return false }
        return taken - lastKnown > Self.longestGap
    }

    /// This process has put a job on the queue, or taken it up.
    /// - Parameter startedAt: by Redis' clock, milliseconds since 1970; nil where it was never seen on the queue.
    mutating func began(_ id: String, at startedAt: Int?) {
        followed = (id, startedAt)
    }

    /// This process has led, so nobody else has.
    /// - Parameter proven: when the lead was last known to be held.
    mutating func led(until proven: Instant) {
        lastKnown = proven
    }
}
