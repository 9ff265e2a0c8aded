package import BatchQueue
package import Logging

/// The one reader of Redis behind any number of listeners: it looks once a second while somebody listens, encodes what
/// it saw once, and hands the same text to all.
package actor PictureFeed {
    private let monitor: QueueMonitor
    private let logger: Logger
    private let interval: Duration
    private let now: @Sendable () -> Int64

    private var listeners: [Int: AsyncStream<String>.Continuation] = [:]
    private var nextListener = 0
    /// What a new listener gets first, by kind.
    private var latest: [ServerSentEvent.Kind: String] = [:]
    private var picture: QueuePicture?
    private var lastLook: ContinuousClock.Instant?
    private var isLooking = false
    /// Which job, and which state of it, samples and history were last read whole for.
    private var shownJob = ""
    private var shownSample = ""
    /// Listeners have had samples that `latest` has not.
    private var samplesAreOld = false
    private var awaySince: Int64?

    /// A browser that takes nothing misses pictures; the next one says all there is to say.
    private static let buffered = 12
    static let mostListeners = 1_000
    private static let eventsShown = 30

    /// - Parameter now: ms since the epoch, by this machine's clock.
    package init(
        _ monitor: QueueMonitor, logger: Logger, interval: Duration = .seconds(1),
        now: @escaping @Sendable () -> Int64 = { WallClock.milliseconds }
    ) {
        self.monitor = monitor
        self.logger = logger
        self.interval = interval
        self.now = now
    }

    /// Looks for as long as its task is not cancelled.
    package func run() async {
        while !Task.isCancelled {
            if !listeners.isEmpty { await look() }
            do {
                try await Task.sleep(for: interval)
            } catch {
                return
            }
        }
    }

    /// A stream of messages that begins with everything as it stands.
    /// - Returns: nil where there are too many listeners already.
    func listen() async -> (number: Int, messages: AsyncStream<String>)? {
        await lookUnlessFresh()
        if samplesAreOld { await readSamples() }
        guard listeners.count < Self.mostListeners else { return nil }
        let (messages, continuation) = AsyncStream.makeStream(
            of: String.self, bufferingPolicy: .bufferingNewest(Self.buffered))
        for kind in ServerSentEvent.Kind.allCases {
            if let text = latest[kind] { continuation.yield(text) }
        }
        nextListener += 1
        listeners[nextListener] = continuation
        return (nextListener, messages)
    }

    func leave(_ number: Int) {
        listeners.removeValue(forKey: number)?.finish()
    }

    /// What is known now, no older than the interval; nil while Redis is away.
    func currentPicture() async -> QueuePicture? {
        await lookUnlessFresh()
        return awaySince == nil ? picture : nil
    }

    private func lookUnlessFresh() async {
        if let lastLook, ContinuousClock.now - lastLook < interval { return }
        await look()
    }

    private func look() async {
        if isLooking { return }
        isLooking = true
        defer { isLooking = false }
        lastLook = .now
        do {
            let picture = try await monitor.picture()
            try await showSlowParts(of: picture)
            tell(.log, try ServerSentEvent.text(.log, await monitor.events(most: Self.eventsShown)))
            tell(.picture, try ServerSentEvent.text(.picture, picture))
            self.picture = picture
            if awaySince != nil { logger.info("Redis is back") }
            awaySince = nil
            latest[.away] = nil
        } catch {
            if awaySince == nil {
                awaySince = now()
                logger.warning(
                    "Redis is away; the page shows what was last known", metadata: ["reason": "\(error)"])
            }
            tell(.away, ServerSentEvent.text(.away, json: "{\"since\":\(awaySince ?? 0)}"))
        }
    }

    /// Samples and reports are long: they go whole where the job or its state is another, else what is new of them.
    private func showSlowParts(of picture: QueuePicture) async throws {
        let job = "\(picture.progress["job"] ?? "") \(picture.progress["finished_at"] ?? "")"
        if job != shownJob || latest[.samples] == nil {
            tell(.history, ServerSentEvent.text(.history, json: Self.array(try await monitor.history())))
            tell(.samples, ServerSentEvent.text(.samples, json: Self.array(try await monitor.samples())))
            shownJob = job
            samplesAreOld = false
        } else if let sample = try await monitor.samples(most: 1).last, sample != shownSample {
            shownSample = sample
            let message = ServerSentEvent.text(.sample, json: sample)
            for listener in listeners.values { listener.yield(message) }
            samplesAreOld = true
        }
    }

    /// The whole ring, for a listener that comes.
    private func readSamples() async {
        do {
            latest[.samples] = ServerSentEvent.text(.samples, json: Self.array(try await monitor.samples()))
            samplesAreOld = false
        } catch {
            // The next look meets the same error and says so.
        }
    }

    private func tell(_ kind: ServerSentEvent.Kind, _ text: String) {
        // An event list that has not changed is not sent again; a picture always is, as a sign of life.
        if kind == .log, latest[kind] == text { return }
        latest[kind] = text
        for listener in listeners.values { listener.yield(text) }
    }

    private static func array(_ items: [String]) -> String { "[" + items.joined(separator: ",") + "]" }
}
