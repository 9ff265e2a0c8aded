import ArgumentParser
import Rotation

/// Options of the commands that lead a job: how much it may take of the server.
struct PaceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How much to leave to the application: polite, balanced or maintenance. Other options go before it.",
            valueName: "name"))
    var profile: Profile = .balanced

    @Option(help: ArgumentHelp("At most so many records a second, over all workers.", valueName: "n"))
    var maxRecordsPerSecond: Int?

    @Option(
        help: ArgumentHelp(
            "Keep so many lanes at work on average, over all workers, such as 0.5 or 8, or off (default: polite 0.15, balanced 0.4, maintenance off).",
            valueName: "lanes"))
    var laneShare: LimitArgument<LaneShareArgument>?

    @Option(
        help: ArgumentHelp(
            "How far the replay of standbys may fall behind, such as 2s, or off (default: polite 2s, balanced 10s).",
            valueName: "duration"))
    var maxLag: LimitArgument<DurationArgument>?

    @Option(
        help: ArgumentHelp(
            "Application names of the standbys that count (default: all that are connected).",
            valueName: "a,b"))
    var lagStandbys: String?

    @Option(
        help: ArgumentHelp("Hand out nothing while this query yields true, or fails.", valueName: "sql"))
    var throttleQuery: String?

    @Option(
        help: ArgumentHelp(
            "VACUUM a table after every so many percent of its rows, or off (default: 10%).", valueName: "p%")
    )
    var vacuum: LimitArgument<PercentArgument>?

    @Option(
        help: ArgumentHelp(
            "Hold while a replication slot retains more WAL, such as 10GB, or off (default: 32GB).",
            valueName: "size"))
    var maxSlotWal: LimitArgument<SizeArgument>?

    @Option(
        help: ArgumentHelp(
            "Hold when WAL archiving has been failing for so long, or off (default: 5m).",
            valueName: "duration"))
    var maxArchiveFailing: LimitArgument<DurationArgument>?

    @Option(
        help: ArgumentHelp(
            "Hold while less is free on the server's disk; on the server itself only (default: off).",
            valueName: "size"))
    var minFreeDisk: LimitArgument<SizeArgument>?

    @Option(
        help: ArgumentHelp(
            "Hold while a transaction or slot keeps VACUUM from older rows for longer (default: off).",
            valueName: "duration"))
    var maxHorizonAge: LimitArgument<DurationArgument>?

    @Option(
        help: ArgumentHelp(
            "How long such a condition may hold the job before it ends, incomplete (default: 10m).",
            valueName: "duration"))
    var guardGrace: DurationArgument?

    func validate() throws {
        if let maxRecordsPerSecond, maxRecordsPerSecond < 1 {
            throw ValidationError("--max-records-per-second takes 1 or more; `pause` hands out nothing.")
        }
        if lagStandbys != nil, maxLag?.value == nil, maxLag != nil || profile.lag == nil {
            throw ValidationError("--lag-standbys needs --max-lag.")
        }
    }

    /// The profile's limits with what was asked for in their place.
    var limits: PaceLimits {
        var limits = profile.limits
        if let maxRecordsPerSecond { limits.recordsPerSecond = Double(maxRecordsPerSecond) }
        if let laneShare {
            limits.laneShare = laneShare.value.map { PaceLimits.LaneShare($0.lanes, reason: "lane-share") }
        }
        let standbys = lagStandbys.map { $0.split(separator: ",").map(String.init) } ?? []
        if let maxLag {
            limits.lag = maxLag.value.map { PaceLimits.Lag(limit: $0.duration, standbys: standbys) }
        } else if !standbys.isEmpty {
            limits.lag = profile.lag.map { PaceLimits.Lag(limit: $0, standbys: standbys) }
        }
        limits.throttleQuery = throttleQuery
        if let maxSlotWal { limits.guards.slotWAL = maxSlotWal.value?.bytes }
        if let maxArchiveFailing { limits.guards.archiveFailing = maxArchiveFailing.value?.duration }
        if let minFreeDisk { limits.guards.freeDisk = minFreeDisk.value?.bytes }
        if let maxHorizonAge { limits.guards.horizonAge = maxHorizonAge.value?.duration }
        if let guardGrace { limits.guards.grace = guardGrace.duration }
        return limits
    }

    /// Nil: VACUUM is left to autovacuum.
    var vacuumPercent: Double? {
        guard let vacuum else { return 10 }
        return vacuum.value?.percent
    }
}

extension Profile: ExpressibleByArgument {}

/// A limit, or `off`.
struct LimitArgument<Value: ExpressibleByArgument>: ExpressibleByArgument {
    let value: Value?

    init?(argument: String) {
        if argument == "off" {
            value = nil
        } else {
            guard let value = Value(argument: argument) else { return nil }
            self.value = value
        }
    }
}

/// How many lanes may be at work on average: `0.5`, `8`.
struct LaneShareArgument: ExpressibleByArgument {
    let lanes: Double

    init?(argument: String) {
        guard let lanes = Double(argument), (0.01...1_000).contains(lanes) else { return nil }
        self.lanes = lanes
    }
}

/// An amount of bytes on the command line: `512MB`, `10GB`; a unit is 1,024 of the one before it.
struct SizeArgument: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number <= 1 << 20 else { return nil }
        switch argument.dropFirst(digits.count) {
        case "kB", "KB": bytes = number << 10
        case "MB": bytes = number << 20
        case "GB": bytes = number << 30
        case "TB": bytes = number << 40
        default: return nil
        }
    }
}
