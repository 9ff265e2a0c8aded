import BatchQueue
import FoundationEssentials

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

    /// For so long nobody else is taken to have led, and ended, a job. The server keeps a lost leader's locks for 30 s,
    /// and whoever waits for them looks every 2 to 3 s: less would keep it from ever taking over.
    static let longestGap: Duration = .seconds(45)

    /// The job that was seen running, or led, as it was then.
    private var followed: Job?
    /// What was on the queue when this process came.
    private var first: (id: String?, startedAt: Int)?
    /// When it was last known what the queue's job is.
    private var lastKnown: Instant?
    /// Redis shows less than this process has seen.
    private(set) var hasLostData = false

    /// The job that Redis has lost, to be told again; nil where none was known.
    var lost: Job? { hasLostData ? followed : nil }

    /// - Parameters:
    ///   - job: what Redis shows; nil where it shows no job.
    ///   - instant: of before Redis was asked, so that a process that froze since knows how long.
    ///   - isOurs: whether a job is one that this process would lead.
    mutating func look(_ job: Job?, at instant: Instant, isOurs: (Job) -> Bool) -> Step {
        let isFirst = first == nil
        if isFirst { first = (job?.id, job?.startedAt ?? 0) }
        hasLostData = false
        if let job, job.isRunning {
            guard followed == nil || followed?.id == job.id || isOurs(job) else { return .movedOn }
            followed = job
            lastKnown = instant
            return .lead
        }
        if followed == nil, isFirst || job?.id == first?.id {
            // A queue that is still empty says nothing of what has come, gone and been lost while nobody looked.
            hasLostData = job == nil && isTooLate(instant)
            if !hasLostData { lastKnown = instant }
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
        return followed.startedAt > 0 && job.startedAt > followed.startedAt
    }

    /// Whether somebody else could have led, and ended, a job between the last look and the instant at which the
    /// locks were taken.
    func isTooLate(_ taken: Instant) -> Bool {
        guard let lastKnown else { return false }
        return taken - lastKnown > Self.longestGap
    }

    /// This process has put a job on the queue, or taken it up.
    mutating func began(_ job: Job) {
        followed = job
    }

    /// This process has led, so nobody else has.
    /// - Parameter proven: when the lead was last known to be held.
    mutating func led(until proven: Instant) {
        lastKnown = proven
    }
}
