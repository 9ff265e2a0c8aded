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
    /// Whether each batch that the counters name is where its state says. Scripts are atomic, so anything else
    /// means that a key was lost.
    let isWhole: Bool

    init(tick reply: [RedisReply]) throws {
        guard reply.count >= 34 else { throw RedisError(.unexpectedAnswer, "a tick was answered in part") }
        job = try reply[1].text()
        generation = try reply[2].text()
        nextSequence = try reply[3].integer()
        state = try reply[5].text()
        isPaused = try reply[6].text() == "1"
        pendingLength = try reply[7].integer()
        workers = try reply[19].integer()
        leader = try reply[21].text()
        startedAt = try reply[26].text()
        messagesRefused = try reply[27].integer()
        leaseExpiries = try reply[28].integer()
        var progress = JobProgress()
        progress.batchesDone = try reply[4].integer()
        progress.batchesPending = try reply[8].integer()
        progress.recordsTotal = try reply[10].integer()
        progress.recordsRewrapped = try reply[11].integer()
        progress.recordsSuperseded = try reply[12].integer()
        progress.recordsFailed = try reply[13].integer()
        progress.batchesTotal = try reply[14].integer()
        progress.batchesLeased = try reply[15].integer()
        progress.batchesDelayed = try reply[16].integer()
        progress.batchesDead = try reply[17].integer()
        progress.enumerationDone = try reply[18].text() == "1"
        progress.sweep = try reply[20].integer()
        progress.cost = BatchCost(
            rows: try reply[22].integer(), bytes: try reply[23].integer(),
            seconds: Double(try reply[24].integer()) / 1_000_000)
        progress.splits = try reply[25].integer()
        self.progress = progress
        pushes = try reply[29].integer()
        isWhole =
            try reply[30].integer() == progress.batchesOutstanding
            && reply[31].integer() == progress.batchesLeased
            && reply[32].integer() == progress.batchesDelayed
            && reply[33].integer() == progress.batchesLeased + progress.batchesDelayed
    }
}
