import Redis

/// What `tick.lua` tells of a queue.
package struct QueueSnapshot: Sendable {
    package let job: String
    let generation: String
    let nextSequence: Int
    package let state: String
    package let isPaused: Bool
    /// Of the list, which may hold a few void messages.
    package let pendingLength: Int
    package let progress: JobProgress
    package let workers: Int
    let leader: String
    let startedAt: String
    /// Messages on the list that were none of ours.
    package let messagesRefused: Int
    package let leaseExpiries: Int
    let pushes: Int
    /// Whether each batch that the counters name is where its state says, and every counter is one. Scripts are atomic,
    /// so anything else means that a key was lost or written over.
    let isWhole: Bool

    init(tick reply: [RedisReply]) throws {
        guard reply.count >= 34 else { throw RedisError(.unexpectedAnswer, "a tick was answered in part") }
        var areCounters = true
        func count(_ index: Int) throws -> Int {
            let number: Int?
            if case .integer(let value) = reply[index] {
                number = value
            } else {
                number = Int(try reply[index].text())
            }
            guard let number, QueueCounter.range.contains(number) else {
                areCounters = false
                return QueueCounter.bounded(number ?? 0)
            }
            return number
        }
        job = try reply[1].text()
        generation = try reply[2].text()
        nextSequence = try count(3)
        state = try reply[5].text()
        isPaused = try reply[6].text() == "1"
        pendingLength = try count(7)
        workers = try count(19)
        leader = try reply[21].text()
        startedAt = try reply[26].text()
        messagesRefused = try count(27)
        leaseExpiries = try count(28)
        var progress = JobProgress()
        progress.batchesDone = try count(4)
        progress.batchesPending = try count(8)
        progress.recordsTotal = try count(10)
        progress.recordsRewrapped = try count(11)
        progress.recordsSuperseded = try count(12)
        progress.recordsFailed = try count(13)
        progress.batchesTotal = try count(14)
        progress.batchesLeased = try count(15)
        progress.batchesDelayed = try count(16)
        progress.batchesDead = try count(17)
        progress.enumerationDone = try reply[18].text() == "1"
        progress.sweep = try count(20)
        progress.cost = BatchCost(
            rows: try count(22), bytes: try count(23),
            seconds: Double(try count(24)) / 1_000_000)
        progress.splits = try count(25)
        self.progress = progress
        pushes = try count(29)
        let addUp =
            try count(30) == progress.batchesOutstanding
            && count(31) == progress.batchesLeased
            && count(32) == progress.batchesDelayed
            && count(33) == progress.batchesLeased + progress.batchesDelayed
        isWhole = addUp && areCounters
    }
}
